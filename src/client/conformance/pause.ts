import { waitFor } from '../dial/wait.ts';
import type { CheckContext } from './check.ts';

/** Spacing between datagrams that are not a burst. Servers drop what arrives while they are busy. */
export const betweenDatagramsMs = 50;

/** Waits this long. Throws `INTERRUPTED`. */
export async function pause(context: CheckContext, ms: number): Promise<void> {
  await comesWithin(context, ms, () => () => {});
}

/**
 * Whether the operation begun by `start` resolves within this time. The function that `start` returns is called at the
 * end. Rethrows its rejection, and throws `INTERRUPTED`.
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
