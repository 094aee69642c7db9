import { type Clock, pause } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import type { Log } from '../../service.ts';
import { isAddressMissing, isFamilyMissing, openError } from './open-error.ts';
import type { PlannedListener } from './plan.ts';

/** How long to wait for addresses that this machine does not have yet, and how often to try. */
const waitMs = 5000;
const retryMs = 250;

export interface OpenOptions {
  readonly clock: Clock;
  readonly log?: Log;
  /** Whether nobody needs the listeners any longer. */
  readonly isStopping: () => boolean;
}

/**
 * Opens the listeners of a plan in order, with `open`, which throws the system's error. If this machine lacks an
 * address, opens the others, and then tries again for five seconds: at boot, an interface may get its address late, and
 * an IPv6 address is tentative first (RFC 4862 section 5.4). Optional listeners are skipped, but if a service has no
 * other, they are waited for, too. Returns what is open, at least one listener for each service. Throws the result of
 * `openError`, or what `open` throws if it is a `SmallservdError`. The caller closes what was opened.
 */
export async function openWhenThere<Opened>(
  plan: readonly PlannedListener[],
  open: (planned: PlannedListener) => Opened | Promise<Opened>,
  { clock, log, isStopping }: OpenOptions,
): Promise<ReadonlyMap<PlannedListener, Opened>> {
  const opened = new Map<PlannedListener, Opened>();
  const missing = new Map<PlannedListener, unknown>();
  const attempt = async (planned: PlannedListener): Promise<void> => {
    try {
      opened.set(planned, await open(planned));
      missing.delete(planned);
    } catch (error) {
      if (error instanceof SmallservdError) throw error;
      if (!isAddressMissing(error) && !(planned.optional && isFamilyMissing(error))) throw openError(planned, error);
      missing.set(planned, error);
    }
  };
  const findAwaited = (): readonly PlannedListener[] => {
    const served = new Set([...opened.keys()].map(({ service }) => service));
    return plan.filter(
      (planned) => isAddressMissing(missing.get(planned)) && !(planned.optional && served.has(planned.service)),
    );
  };

  for (const planned of plan) await attempt(planned);
  let awaited = findAwaited();
  if (log !== undefined)
    for (const { service, text } of awaited)
      log.warn({ service, listen: text, waitMs }, 'address not available yet, retrying');
  for (const endMs = clock.monotonicMs() + waitMs; awaited.length > 0 && clock.monotonicMs() < endMs; ) {
    await pause(clock, retryMs);
    if (isStopping()) break;
    for (const planned of awaited) await attempt(planned);
    awaited = findAwaited();
  }
  const served = new Set([...opened.keys()].map(({ service }) => service));
  const failed = awaited.find(({ optional }) => !optional) ?? plan.find(({ service }) => !served.has(service));
  if (failed !== undefined) throw openError(failed, missing.get(failed));
  return opened;
}
