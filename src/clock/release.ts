/**
 * The release date of this build. An earlier wall clock cannot be right, and RFC 868 requires a server that does not
 * know the time to stay silent.
 */
export const released = new Date('2026-11-22T00:00:00Z');

/** Whether a wall clock is plausible. `nowMs` is milliseconds since 1970. */
export function clockIsSet(nowMs: number): boolean {
  return nowMs >= released.getTime();
}
