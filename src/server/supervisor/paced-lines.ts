import type { Readable } from 'node:stream';
import type { Clock } from '../../clock/clock.ts';
import { Lines } from './lines.ts';

/** How much of a child's output is read per second. A child that writes more must wait. */
export interface Pace {
  readonly linesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Reads lines of a child's output at a pace the supervisor can sustain. Calls `leftOut` for each line beyond it. */
export function readLines(
  stream: Readable | null,
  clock: Clock,
  { linesPerSecond, bytesPerSecond }: Pace,
  line: (line: string) => void,
  leftOut: () => void,
): void {
  let secondStartMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let bytes = 0;
  const whole = (text: string): void => {
    lines += 1;
    if (lines > linesPerSecond) leftOut();
    else line(text);
  };
  const cutter = new Lines(whole, leftOut);
  stream?.setEncoding('utf8').on('data', (text: string) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - secondStartMs >= 1000) {
      secondStartMs = nowMs;
      lines = 0;
      bytes = 0;
    }
    bytes += text.length;
    cutter.write(text);
    if (lines <= linesPerSecond && bytes <= bytesPerSecond) return;
    stream.pause();
    clock.after(secondStartMs + 1000 - nowMs, () => stream.resume());
  });
}
