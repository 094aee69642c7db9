import type { ClockReading } from '../clock/clock-status.ts';
import { libc } from './libc.ts';

// time.h
const CLOCK_REALTIME = 0;
/** Two 64-bit words: seconds and nanoseconds. */
const timespecBytes = 16;

// sys/timex.h, on 64-bit Linux.
const timexBytes = 208;
const maxerrorOffset = 24;
const esterrorOffset = 32;
const statusOffset = 40;
const STA_UNSYNC = 0x40;
const TIME_ERROR = 5;

// They live as long as the process: each call fills them again.
const time = new DataView(new ArrayBuffer(timespecBytes));
const timex = new DataView(new ArrayBuffer(timexBytes));
const timeBytes = new Uint8Array(time.buffer);
const timexMemory = new Uint8Array(timex.buffer);

/** Reads the wall clock: microseconds since 1970, rounded down. Undefined without koffi. See clock_gettime(2). */
export function readWallClockUs(): number | undefined {
  if (libc === undefined || libc.clock_gettime(CLOCK_REALTIME, timeBytes) !== 0) return undefined;
  return Number(time.getBigInt64(0, true)) * 1e6 + Math.floor(Number(time.getBigInt64(8, true)) / 1000);
}

/**
 * Reads what the kernel knows of its clock, and changes nothing. Undefined without koffi, or if a sandbox forbids the
 * call. See adjtimex(2).
 */
export function readClock(): ClockReading | undefined {
  // `modes` is the first field: 0 means that nothing is set.
  timexMemory.fill(0);
  const state = libc?.adjtimex(timexMemory) ?? -1;
  if (state < 0) return undefined;
  const isUnsynchronized = state === TIME_ERROR || (timex.getInt32(statusOffset, true) & STA_UNSYNC) !== 0;
  return {
    isSynchronized: !isUnsynchronized,
    estimatedErrorUs: Number(timex.getBigInt64(esterrorOffset, true)),
    maximumErrorUs: Number(timex.getBigInt64(maxerrorOffset, true)),
  };
}
