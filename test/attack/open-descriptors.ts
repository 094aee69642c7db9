/** What the processes of the daemon hold open. */
import { readdirSync } from 'node:fs';
import { familyOf } from '../system/machine.ts';

/** How long what is left may take to go. */
const patienceMs = 15_000;
const periodMs = 50;

/** Open descriptors of a process and of all that came of it. */
function openDescriptors(pid: number): number {
  return familyOf(pid).reduce((sum, each) => sum + descriptorsOf(each), 0);
}

/** The same, when nothing comes and goes any more: the daemon has just started, or has just served somebody. */
export async function settledDescriptors(pid: number): Promise<number> {
  const endMs = performance.now() + patienceMs;
  let count = openDescriptors(pid);
  for (let same = 0; same < 5; ) {
    await pause();
    const now = openDescriptors(pid);
    same = now === count ? same + 1 : 0;
    count = now;
    if (performance.now() > endMs) throw new Error(`the descriptors of process ${pid} come and go`);
  }
  return count;
}

/** How many more there are than `before`, once they have gone or have had their time to. */
export async function descriptorsLeft(pid: number, before: number): Promise<number> {
  const endMs = performance.now() + patienceMs;
  while (openDescriptors(pid) > before && performance.now() < endMs) await pause();
  return Math.max(0, openDescriptors(pid) - before);
}

async function pause(): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, periodMs);
  });
}

function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    // It has gone.
    return 0;
  }
}
