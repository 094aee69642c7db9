import { lookupServicePort } from '../address/service-ports.ts';
import { type CheckedService, checkedServices } from './conformance/check.ts';
import { allChecks } from './conformance/index.ts';
import { type CheckOutcome, type CheckResult, runChecks } from './conformance/run.ts';
import { assertZone, parseHost } from './dial/target.ts';
import { foreverMs } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import type { Outcome } from '../outcomes.ts';
import { assertWithin, type ClientOptions, withDefaults } from './options.ts';

export type { CheckOutcome, CheckResult };

export interface ConformOptions extends ClientOptions {
  /**
   * Any of tcpmux, echo, discard, systat, daytime, qotd, chargen, time, finger, ident and stamp. Default: all, but of
   * tcpmux, finger, ident and stamp, which few servers offer, only those with a port in `ports`.
   */
  readonly services?: readonly string[] | undefined;
  /** Check one transport only. Default: both. */
  readonly transport?: 'tcp' | 'udp' | undefined;
  /** Added to each service's standard port: with 1200, chargen is expected at 1219. Default 0. */
  readonly basePort?: number | undefined;
  /** Ports of individual services, for both transports. They override `basePort`. */
  readonly ports?: Readonly<Record<string, number>> | undefined;
  /** Milliseconds without data after which a peer counts as silent. Increase it for slow lines. Default 500. */
  readonly quietMs?: number | undefined;
  /** Called after each check with the number done and the total. */
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
}

export interface ConformResult {
  /** The host as given. */
  readonly host: string;
  /** In order of the services' ports, TCP before UDP. */
  readonly checks: readonly CheckResult[];
  /** Number of checks by outcome. */
  readonly counts: Readonly<Record<CheckOutcome, number>>;
}

/**
 * How the run ended: `wrong-answer` if a check failed, `failed` if the checks are broken. If no service was reached,
 * how the first attempt ended.
 */
export function conformOutcome({ checks, counts }: ConformResult): Outcome {
  if (counts.unreachable === checks.length) return checks[0]?.attempt ?? 'unreachable';
  if (counts.failed > 0) return 'wrong-answer';
  return counts.broken > 0 ? 'failed' : 'ok';
}

/** Checked only if asked for. */
const rareServices: ReadonlySet<string> = new Set(['tcpmux', 'finger', 'ident', 'stamp']);

/** Below 1024: echo, chargen, time, and an unassigned port. */
const lowPorts = [7, 19, 37, 1023];
/** SSDP, NFS, WS-Discovery, mDNS and memcached. */
const reflectorPorts = [1900, 2049, 3702, 5353, 11_211];

/**
 * Checks a server against its RFCs and for safety. Sends no forged packets, and only a handful of datagrams at a time
 * except for bursts of 30 to each service, all at the same time. `host` is `HOST` without a port. Throws
 * `ARGUMENT_INVALID`, `HOST_NOT_FOUND` and `INTERRUPTED`. Anything the server does or fails to do is part of the
 * result.
 */
export async function conform(host: string, options: ConformOptions = {}): Promise<ConformResult> {
  const { transport, basePort = 0, ports = {}, quietMs = 500 } = options;
  const { services = checkedServices.filter((each) => !rareServices.has(each) || Object.hasOwn(ports, each)) } =
    options;
  assertWithin('the quiet period in milliseconds', quietMs, 1, foreverMs);
  if (options.pathControls?.sourcePort !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', 'a source port does not apply to conform, which uses many ports');
  for (const name of [...services, ...Object.keys(ports)]) {
    if (checkedServices.some((each) => each === name)) continue;
    const expected = `expected ${checkedServices.slice(0, -1).join(', ')} or ${checkedServices.at(-1)}`;
    throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(name)} is not a service to check: ${expected}`);
  }
  const portOf = (service: CheckedService, over: 'tcp' | 'udp'): number => {
    const port = ports[service] ?? (lookupServicePort(service, over) ?? 0) + basePort;
    if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
    const subject = ports[service] === undefined ? `--base-port ${basePort} puts ${service} on` : `${service} has`;
    throw new SmallservdError('ARGUMENT_INVALID', `${subject} port ${port}: expected 1 to 65535`);
  };
  const wanted = allChecks.filter(
    (check) => services.includes(check.service) && (transport === undefined || check.transport === transport),
  );
  const served = wanted
    .filter((check) => check.transport === 'udp')
    .map(({ service }) => portOf(service, 'udp'))
    .filter((port) => port >= 1024);
  const name = parseHost(host);
  assertZone(name, host);
  const checks = await runChecks(name, wanted, {
    ...withDefaults(options),
    quietMs,
    portOf,
    dangerousPorts: { low: lowPorts, reflectors: [...new Set([...reflectorPorts, ...served])] },
  });
  const counts = { passed: 0, failed: 0, unreachable: 0, skipped: 0, broken: 0 };
  for (const { outcome } of checks) counts[outcome] += 1;
  return { host, checks, counts };
}
