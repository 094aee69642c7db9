import { setTimeout as pause } from 'node:timers/promises';
import type { AdminClient } from '../admin/client.ts';
import type { PageEvent } from '../admin/live.ts';
import { SmallservdError } from '../../errors.ts';

const firstDelayMs = 500;
const longestDelayMs = 5000;

export interface Follower {
  changed(event: PageEvent): void;
  /** There is no connection any more. Another one is tried. */
  lost(reason: string): void;
}

/**
 * Gets the events of a daemon until the signal aborts, and connects again whenever the connection breaks. Throws
 * `ADMIN_UNREACHABLE` if there has never been one.
 */
export async function follow(
  client: Pick<AdminClient, 'events'>,
  ended: AbortSignal,
  follower: Follower,
): Promise<void> {
  let isKnown = false;
  let delayMs = firstDelayMs;
  while (!ended.aborted) {
    try {
      for await (const event of client.events(ended)) {
        isKnown = true;
        delayMs = firstDelayMs;
        follower.changed(event);
      }
    } catch (error) {
      if (!isKnown || !(error instanceof SmallservdError)) throw error;
      follower.lost(error.message);
    }
    await pause(delayMs, undefined, { signal: ended }).catch(() => {});
    delayMs = Math.min(2 * delayMs, longestDelayMs);
  }
}
