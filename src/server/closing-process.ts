import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { spawnChild } from './child-process.ts';
import { childArguments } from './child-arguments.ts';

/** How long the process may take to exit before it is killed. */
const exitMs = 5000;

/**
 * Closes stream sockets that other processes have had copies of. Whoever has one can make the last close wait for as
 * long as it likes (SO_LINGER in socket(7), or a descriptor queued in a UNIX socket). So the last close is left to a
 * process that does nothing but exit, which does not wait. Resolves once it has. If no process can be started, the
 * sockets stay open.
 */
export async function closeElsewhere(descriptors: readonly number[]): Promise<void> {
  if (descriptors.length === 0) return;
  // Runs what it reads from standard input, up to its end: nothing.
  const child = spawnChild(process.execPath, [...childArguments, '-'], {
    stdio: ['pipe', 'ignore', 'ignore', ...descriptors],
    cwd: '/',
    env: {},
  });
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  if (child.pid === undefined) return;
  const exit = once(child, 'exit');
  // It has its copies by now, and keeps them until the end of its input.
  for (const descriptor of descriptors) closeSync(descriptor);
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), exitMs).unref();
  await exit;
  clearTimeout(timer);
}
