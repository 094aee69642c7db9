import type { BigIntStats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { noDirectory } from '../system-error-text.ts';

/** path_resolution(7) */
const maxLinks = 40;

/** A directory or a symbolic link on the way to a directory. */
interface Waypoint {
  /** Without symbolic links before its last part. */
  readonly path: string;
  /** In 64 bits: inode numbers past 2^53 would meet as doubles. */
  readonly stats: BigIntStats;
}

/**
 * Walks an absolute path as the kernel does, and yields everything on the way, each before what it leads to is looked
 * at: `/`, at the start and after each link that leads back to it, then every directory and link. The last that is not
 * a link is the end of the way. Throws where something is missing, or too many links lead on.
 */
export async function* walkPath(path: string): AsyncGenerator<Waypoint> {
  const top = { path: '/', stats: await look('/') };
  yield top;
  let directory = '/';
  let links = 0;
  const parts = partsOf(path);
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const next = join(directory, part);
    const stats = await look(next);
    yield { path: next, stats };
    if (!stats.isSymbolicLink()) {
      directory = next;
      continue;
    }
    links += 1;
    if (links > maxLinks) throw new Error('too many symbolic links');
    const target = await readlink(next);
    parts.unshift(...partsOf(target));
    if (!target.startsWith('/')) continue;
    directory = '/';
    yield top;
  }
}

async function look(path: string): Promise<BigIntStats> {
  return await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error(noDirectory(path)) : error;
  });
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
