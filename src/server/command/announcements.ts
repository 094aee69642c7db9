import { loopback, wildcard } from '../../address/own-address.ts';
import type { Config } from '../config/config.ts';
import { activeFaults } from '../faults/fault-rules.ts';
import { descriptorBudget, streamServices } from '../guard/descriptor-budget.ts';
import { type OpenFiles, readOpenFiles } from '../../open-files.ts';
import type { RunningListener } from '../running-daemon.ts';
import type { Log } from '../../service.ts';
import { formatBoundAddress } from '../transport/listener.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { reachOf } from '../transport/reachability.ts';

/** Warns about settings that are valid but may not be intended. `files` are the open files of this process. */
export function warnOf({ services, workers }: Config, log: Log, files: OpenFiles | undefined = readOpenFiles()): void {
  const budget = descriptorBudget(files, services);
  const configured = streamServices(services)
    // Workers accept about the same number of clients each.
    .map(({ stream }) => Math.ceil(stream.maxConnections / Math.max(1, workers)))
    .reduce((sum, connections) => sum + connections, 0);
  if (configured > budget)
    log.warn(
      { configured, budget, openFilesLimit: files?.limit },
      'open file limit (ulimit -n, LimitNOFILE=) is below the sum of maxConnections',
    );
  const dry = services.filter(({ stream }) => stream.dryRun).map(({ name }) => name);
  if (dry.length > 0) log.warn({ services: dry }, 'dry run, rate and connection limits not enforced');
  for (const { name, faults } of services)
    if (faults !== undefined)
      log.warn(
        { service: name, seed: faults.seed, faults: activeFaults(faults) },
        'faults enabled, service misbehaves on purpose',
      );
  const mute = services
    .filter(({ proxy, listen }) => proxy.from.length > 0 && listen.every(({ scheme }) => scheme === 'unix'))
    .map(({ name }) => name);
  if (mute.length > 0) log.warn({ services: mute }, 'proxyProtocol has no effect without a TCP or UDP listener');
}

/** Logs where each listener listens, and from where it can be reached. */
export function logListeners(listeners: readonly RunningListener[], log: Log): void {
  for (const each of listeners)
    log.info({ service: each.service, address: formatBoundAddress(each), reach: reachOf(each) }, 'listening');
}

/** Logs what is not served, although other addresses of the same names are: in one line for each family. */
export function logSkipped(skipped: readonly PlannedListener[], log: Log): void {
  const byFamily = new Map<string, Set<string>>();
  for (const { service, text, target } of skipped) {
    if (!('port' in target)) continue;
    const { family, address } = target;
    // Every machine with the family has these.
    const isFamilyMissing = address === loopback[family] || address === wildcard[family];
    if (isFamilyMissing) byFamily.set(family, (byFamily.get(family) ?? new Set()).add(service));
    else log.info({ service, listen: text, address }, 'address not available, listener skipped');
  }
  for (const [family, services] of byFamily)
    log.info({ family, services: [...services] }, 'address family not available, listeners skipped');
}
