import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { readClock, readWallClockUs } from '../../../src/kernel/system-clock.ts';

/** The same call with the layout that a C header would give, written down independently, by field. */
const byField = `
import ctypes, json
class timeval(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("usec", ctypes.c_long)]
class timex(ctypes.Structure):
    _fields_ = [("modes", ctypes.c_uint)] + [(n, ctypes.c_long) for n in ("offset", "freq", "maxerror", "esterror")] \\
        + [("status", ctypes.c_int)] + [(n, ctypes.c_long) for n in ("constant", "precision", "tolerance")] \\
        + [("time", timeval)] + [(n, ctypes.c_long) for n in ("tick", "ppsfreq", "jitter")] + [("shift", ctypes.c_int)] \\
        + [(n, ctypes.c_long) for n in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")] \\
        + [("tai", ctypes.c_int), ("padding", ctypes.c_int * 11)]
t = timex()
state = ctypes.CDLL(None).adjtimex(ctypes.byref(t))
print(json.dumps([ctypes.sizeof(timex), state, t.status, t.esterror, t.maxerror]))
`;

/** What Python's ctypes reads, which finds the offsets by itself; undefined without Python. */
function readByField(): readonly number[] | undefined {
  try {
    return JSON.parse(execFileSync('python3', ['-c', byField], { encoding: 'utf8' })) as number[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

it('reads the wall clock to the microsecond', () => {
  const beforeMs = Date.now();
  const us = readWallClockUs() ?? Number.NaN;
  const afterMs = Date.now();
  expect(us).toBeGreaterThanOrEqual(beforeMs * 1000);
  expect(us).toBeLessThan((afterMs + 1) * 1000);
  expect(Number.isSafeInteger(us)).toBe(true);
  // One of them may be a round millisecond, but not all.
  const readings = Array.from({ length: 1000 }, readWallClockUs);
  expect(readings.some((each) => (each ?? 0) % 1000 !== 0)).toBe(true);
});

it('reads from the kernel whether its clock is synchronized, as Python does with a structure of its own', (context) => {
  // The kernel may correct its clock between the two calls, so the second reading of ours counts as well.
  const before = readClock();
  const reference = readByField();
  const after = readClock();
  if (reference === undefined) return context.skip('there is no python3');
  const [size, state = -1, status = 0, estimatedErrorUs = -1, maximumErrorUs = -1] = reference;
  expect(size).toBe(208);
  if (state < 0) return expect(before).toBeUndefined();
  const isSynchronized = state !== 5 && (status & 0x40) === 0;
  expect([before?.isSynchronized, after?.isSynchronized]).toContain(isSynchronized);
  expect([before?.estimatedErrorUs, after?.estimatedErrorUs]).toContain(estimatedErrorUs);
  // It grows by 500 µs a second.
  expect(maximumErrorUs).toBeGreaterThanOrEqual(Math.min(before?.maximumErrorUs ?? 0, after?.maximumErrorUs ?? 0));
  expect(maximumErrorUs).toBeLessThanOrEqual(Math.max(before?.maximumErrorUs ?? 0, after?.maximumErrorUs ?? 0));
});
