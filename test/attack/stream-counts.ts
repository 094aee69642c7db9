/** What the daemon has counted on its streams. Workers tell it once a second. */
import type { StreamCounters } from '../../src/server/counters.ts';
import type { DaemonProcess } from '../support/daemon-process.ts';

export type StreamCounts = Readonly<Record<string, StreamCounters>>;

const patienceMs = 15_000;
const periodMs = 100;

/** By service. */
export async function streamCounts(daemon: DaemonProcess): Promise<StreamCounts> {
  const { counters } = await daemon.state();
  return Object.fromEntries(Object.entries(counters).map(([name, { stream }]) => [name, stream] as const));
}

/** The first counts that suit; the last ones where none does in time. */
export async function countsThat(
  daemon: DaemonProcess,
  suit: (counts: StreamCounts) => boolean,
): Promise<StreamCounts> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const counts = await streamCounts(daemon);
    if (suit(counts) || performance.now() > endMs) return counts;
    await new Promise<void>((resolve) => {
      setTimeout(resolve, periodMs);
    });
  }
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
