import { setMaxListeners } from 'node:events';
import { formatHostPort } from '../../address/host-port.ts';
import { systemClock } from '../../clock/clock.ts';
import { resolveHost } from '../dial/resolve-host.ts';
import { SharedPorts } from '../dial/shared-ports.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import type { ClientOptions } from '../options.ts';
import { formatDuration } from '../../units.ts';
import { type Check, type CheckedService, Fault, type RunContext, Skip, type Transport } from './check.ts';
import { type Place, type Reach, reach } from './discovery.ts';

/** `broken`: the check itself failed, which says nothing about the server. */
export type CheckOutcome = 'passed' | 'failed' | 'unreachable' | 'skipped' | 'broken';

/** The result of a check. */
export interface CheckResult extends Omit<Check, 'run'> {
  readonly outcome: CheckOutcome;
  /** What was expected and seen, or why it was skipped, broken or unreachable. May be empty if it passed. */
  readonly detail: string;
  /** If the service is unreachable, how the attempt to reach it ended. */
  readonly attempt?: Outcome | undefined;
  /** On failure, the bytes that show it, if any arrived. */
  readonly bytes?: Uint8Array | undefined;
}

export interface RunOptions
  extends Pick<ClientOptions, 'family' | 'signal' | 'clock' | 'pathControls'>,
    Pick<RunContext, 'timeoutMs' | 'quietMs' | 'dangerousPorts'> {
  readonly portOf: (service: CheckedService, transport: Transport) => number;
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
}

/** Limit for a check, in timeouts, against a server that dribbles data. */
const checkTimeouts = 6;

/**
 * Runs the checks against a host and resolves with their results in the same order: all services at the same time, and
 * those of one service over one transport in sequence, so that none disturbs another's counts. Throws `HOST_NOT_FOUND`
 * and `INTERRUPTED`. Anything a server does becomes a result.
 */
export async function runChecks(
  host: string,
  checks: readonly Check[],
  options: RunOptions,
): Promise<readonly CheckResult[]> {
  const { timeoutMs, quietMs, dangerousPorts, pathControls } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any(options.signal === undefined ? [ended.signal] : [options.signal, ended.signal]);
  // All services are reached at once, and each adds a listener.
  setMaxListeners(0, signal);
  const clock = options.clock ?? systemClock;
  const sharedPorts = new SharedPorts();
  const patience: RunContext = { timeoutMs, quietMs, signal, clock, dangerousPorts, sharedPorts, pathControls };

  const addresses = await resolveHost(host, options.family ?? 'both', patience);
  const groups = groupChecks(checks, options.portOf).map((group) => {
    return { ...group, reached: reach(group, host, addresses, patience) };
  });
  const allReached = Promise.all(groups.map(({ reached }) => reached));
  // An interruption reaches the caller through the checks.
  allReached.catch(() => {});
  const isAnybodyThere = async (): Promise<boolean> =>
    (await allReached).some((reached) => reached.address !== undefined && !reached.isSilent);

  let done = 0;
  const results = new Map<Check, CheckResult>();
  try {
    await Promise.all(
      groups.map(async ({ checks: members, port, reached }) => {
        for (const check of members) {
          results.set(check, await runCheck(check, port, await reached, isAnybodyThere, patience));
          done += 1;
          options.onProgress?.(done, checks.length);
        }
      }),
    );
  } finally {
    // If one has failed, the others are still at it.
    ended.abort();
  }
  return checks.flatMap((check) => results.get(check) ?? []);
}

/** The checks of one service over one transport. */
interface Group extends Place {
  readonly checks: Check[];
}

function groupChecks(checks: readonly Check[], portOf: RunOptions['portOf']): readonly Group[] {
  const groups: Group[] = [];
  for (const check of checks) {
    const { service, transport } = check;
    const group = groups.find((each) => each.service === service && each.transport === transport);
    if (group !== undefined) group.checks.push(check);
    else groups.push({ service, transport, port: portOf(service, transport), checks: [check] });
  }
  return groups;
}

async function runCheck(
  check: Check,
  port: number,
  reached: Reach,
  isAnybodyThere: () => Promise<boolean>,
  patience: RunContext,
): Promise<CheckResult> {
  const { id, service, transport, basis, fact } = check;
  const result = (outcome: CheckOutcome, detail: string, bytes?: Uint8Array): CheckResult => {
    return { id, service, transport, basis, fact, outcome, detail, ...(bytes !== undefined && { bytes }) };
  };
  if (reached.address === undefined) return { ...result('unreachable', reached.reason), attempt: reached.outcome };
  if (reached.isSilent && !(await isAnybodyThere())) {
    const name = formatHostPort(reached.address.address, port);
    const detail = `no answer from ${name} over UDP. That is correct, but a missing host would be silent, too, and no other service on it answered`;
    return { ...result('unreachable', detail), attempt: 'timeout' };
  }
  const limitMs = checkTimeouts * patience.timeoutMs;
  const limit = new AbortController();
  const cancel = patience.clock.after(limitMs, () => limit.abort());
  const signal = AbortSignal.any([patience.signal, limit.signal]);
  setMaxListeners(0, signal);
  try {
    const detail = await check.run({ ...patience, signal, address: reached.address, port });
    return result('passed', detail ?? '');
  } catch (error) {
    if (patience.signal.aborted) throw error;
    if (error instanceof Fault) return result('failed', error.message, error.bytes);
    if (error instanceof Skip) return result('skipped', error.message);
    if (limit.signal.aborted)
      return result('failed', `expected the check to finish within ${formatDuration(limitMs)}; it did not`);
    // The service was there before the check, so an error or silence now is a finding.
    if (error instanceof SmallservdError) return result('failed', error.message);
    return result('broken', String(error));
  } finally {
    cancel();
  }
}
