import { closeSync } from 'node:fs';
import { setAside } from '../../kernel/sent-descriptors.ts';
import { closeElsewhere } from '../closing-process.ts';

/** Half of what a process has besides the descriptors of its clients (`DescriptorBudget`). */
const mostWaiting = 32;

let waiting: number[] = [];

/** How many processes are closing some. */
let closing = 0;

/**
 * Ends the connections of clients that bring descriptors (`bringsDescriptors`), and closes our descriptors of them
 * without reading or waiting. Beyond its limit on open files, the kernel keeps none for an unprivileged process. Then
 * other processes make the last close.
 */
export function closeUnread(descriptor: number): void {
  if (setAside(descriptor)) {
    closeSync(descriptor);
    return;
  }
  waiting.push(descriptor);
  if (closing === 0 || waiting.length === mostWaiting) void leaveToOthers();
}

async function leaveToOthers(): Promise<void> {
  const descriptors = waiting;
  waiting = [];
  closing += 1;
  await closeElsewhere(descriptors);
  closing -= 1;
  if (closing === 0 && waiting.length > 0) void leaveToOthers();
}
