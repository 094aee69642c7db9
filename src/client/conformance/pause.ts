import { waitFor } from '../dial/wait.ts';
import type { CheckContext } from './check.ts';

/** So far apart are datagrams that are no burst: servers drop what comes while they are at work. */
export const betweenDatagramsMs = 50;

/** Lets time pass. Throws `INTERRUPTED`. */
export async function pause(context: CheckContext, ms: number): Promise<void> {
  await comesWithin(context, ms, () => () => {});
}

/**
 * Whether what `start` begins resolves in this time; what `start` returned is called in the end. Throws what it rejects
 * with, and `INTERRUPTED`.
 */
export async function comesWithin(
  { clock, signal }: CheckContext,
  timeoutMs: number,
  start: (resolve: () => void, reject: (error: Error) => void) => () => void,
): Promise<boolean> {
  const late = new Error('late');
  try {
    await waitFor<void>({ clock, signal, timeoutMs }, () => late, start);
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}
