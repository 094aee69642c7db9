import { libc } from './libc.ts';

/**
 * Ends this process at once. `process.exit` waits for Node's threads: one that reads from a dead file server, or asks a
 * resolver that is silent, would keep the process alive. Without koffi it is `process.exit` all the same.
 */
export function exitNow(code: number): never {
  libc?._exit(code);
  process.exit(code);
}
