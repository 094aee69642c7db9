/** `hrtime` counts from the same moment in all processes, and `performance.now`, which is cheaper, from their start. */
const startMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Monotonic milliseconds that are the same in all processes, unlike those of their clocks. */
export function sharedNowMs(): number {
  return startMs + performance.now();
}
