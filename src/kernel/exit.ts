import { libc } from './libc.ts';

/**
 * Exits immediately. `process.exit` waits for Node's threads, so a read from a dead file server or a silent resolver
 * would keep the process alive. Without koffi, falls back to `process.exit`.
 */
export function exitNow(code: number): never {
  libc?._exit(code);
  process.exit(code);
}
