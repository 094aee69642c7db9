/**
 * The release date of this build. A wall clock that stands before it cannot be right: RFC 868 asks a server that does
 * not know the time to stay silent.
 */
export const released = new Date('2026-11-22T00:00:00Z');

/** Whether a wall clock can be right; `nowMs` is in milliseconds since 1970. */
export function clockIsSet(nowMs: number): boolean {
  return nowMs >= released.getTime();
}
