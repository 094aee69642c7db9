import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { PlannedListener } from './plan.ts';

/** Removes the socket files that a daemon which was killed has left: nobody answers on them, and nobody could bind them. */
export async function removeDeadSockets(plan: readonly Pick<PlannedListener, 'target'>[]): Promise<void> {
  for (const { target } of plan) {
    if (target.transport === 'unix' && 'path' in target && (await isDead(target.path))) await unlink(target.path);
  }
}

async function isDead(path: string): Promise<boolean> {
  const isSocket = await lstat(path).then(
    (status) => status.isSocket(),
    () => false,
  );
  if (!isSocket) return false;
  return await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
