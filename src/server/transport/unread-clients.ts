import { closeSync } from 'node:fs';
import { setAside } from '../../kernel/sent-descriptors.ts';
import { closeElsewhere } from '../closing-process.ts';

/** Fewer than the descriptors that a process has besides those of its clients would do, if its limit is the least. */
const mostWaiting = 32;

let waiting: number[] = [];

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
  if (waiting.length === 1) setImmediate(leaveToOthers);
  else if (waiting.length === mostWaiting) leaveToOthers();
}

function leaveToOthers(): void {
  const descriptors = waiting;
  waiting = [];
  void closeElsewhere(descriptors);
}
