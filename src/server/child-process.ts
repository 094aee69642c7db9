import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { EventEmitter } from 'node:events';

/**
 * Like `spawn`, which throws some of the errors of the system, such as ENOMEM or ETXTBSY, and reports others. This
 * reports all of them with `error`, so that nobody but the child is affected. The process then has no `pid`.
 */
export function spawnChild(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  try {
    return spawn(command, args, options);
  } catch (error) {
    const none = { stdin: null, stdout: null, stderr: null, kill: () => false };
    const child = Object.assign(new EventEmitter(), none) as unknown as ChildProcess;
    process.nextTick(() => child.emit('error', error));
    return child;
  }
}
