import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A path at which there is no regular file that could be read, and what is said of it. */
export interface OddFile {
  readonly name: string;
  readonly path: string;
  readonly message: string;
}

/**
 * A path of every kind that is refused, most of them in `directory`. They are gone, or of no use any more, when the
 * test is over.
 */
export async function oddFiles(directory: string, maxMebibytes: number = 16): Promise<readonly OddFile[]> {
  const at = (name: string): string => join(directory, name);
  mkdirSync(at('directory'));
  makeFifo(at('fifo'));
  makeFifo(at('written'));
  const writer = openSync(at('written'), constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(writer));
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(at('socket'), resolve);
  });
  onTestFinished(() => void server.close());
  writeFileSync(at('sparse'), '');
  truncateSync(at('sparse'), 10 * 2 ** 30);
  writeFileSync(at('file'), '');
  symlinkSync('loop', at('loop'));
  symlinkSync('nowhere', at('dangling'));
  symlinkSync('fifo', at('link to a FIFO'));
  return [
    { name: 'missing', path: at('missing'), message: 'no such file' },
    { name: 'a dangling link', path: at('dangling'), message: 'no such file' },
    { name: 'below a file', path: at('file/below'), message: 'a part of the path is not a directory' },
    { name: 'a directory', path: at('directory'), message: 'it is a directory' },
    { name: 'a FIFO without a writer', path: at('fifo'), message: 'it is a FIFO or pipe, not a regular file' },
    { name: 'a FIFO with a writer', path: at('written'), message: 'it is a FIFO or pipe, not a regular file' },
    { name: 'a link to a FIFO', path: at('link to a FIFO'), message: 'it is a FIFO or pipe, not a regular file' },
    { name: 'a socket', path: at('socket'), message: 'it is a socket, not a regular file' },
    { name: '/dev/zero', path: '/dev/zero', message: 'it is a device, not a regular file' },
    { name: '/dev/null', path: '/dev/null', message: 'it is a device, not a regular file' },
    { name: 'ten sparse gigabytes', path: at('sparse'), message: `it is larger than ${maxMebibytes} MiB` },
    { name: 'a loop of links', path: at('loop'), message: 'too many symbolic links' },
    { name: 'a path of 5000 characters', path: `/${'a/'.repeat(2499)}b`, message: 'the path is too long' },
    { name: 'a name of 300 characters', path: at('x'.repeat(300)), message: 'the path is too long' },
  ];
}

export function makeFifo(path: string): void {
  execFileSync('mkfifo', [path]);
}
