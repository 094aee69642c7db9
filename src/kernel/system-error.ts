import { getSystemErrorMap } from 'node:util';
import { libc } from './libc.ts';

/** Returns the error of the preceding libc call, as Node reports it: `code` is a name such as `EADDRINUSE`. */
export function systemError(call: string, number: number = libc?.errno() ?? 0): NodeJS.ErrnoException {
  const [code, text] = getSystemErrorMap().get(-number) ?? [`errno ${number}`, 'unknown error'];
  return Object.assign(new Error(`${call} ${code}: ${text}`), { code, errno: -number, syscall: call });
}

/** Returns the name of an error number, such as `ECONNRESET`. */
export function errorCodeOf(number: number): string {
  return getSystemErrorMap().get(-number)?.[0] ?? `errno ${number}`;
}

/** Returns the result of the preceding libc call. Throws its error if it is negative. */
export function check(call: string, result: number): number {
  if (result < 0) throw systemError(call);
  return result;
}
