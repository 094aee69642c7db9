import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../clock/clock.ts';
import { answerInTime, FileError } from '../../regular-file.ts';
import { importError, type Note } from './imported.ts';
import { parseXinetdConf } from './xinetd-conf.ts';
import type { PlacedSection } from './xinetd-services.ts';

/** Reads a file that the config names, as text. Throws `FileError`. */
export type ReadText = (path: string) => Promise<string>;

const maxDepth = 10;
const maxFiles = 1000;
const maxNames = 10_000;

/**
 * Parses a xinetd.conf(5) and everything it includes, in the order of xinetd. Unlike xinetd, which goes on without an
 * include that it cannot read, throws `IMPORT_INVALID`: `defaults` that restrict the services may be in there.
 */
export async function readXinetdSections(
  text: string,
  file: string,
  readText: ReadText,
): Promise<{ readonly sections: readonly PlacedSection[]; readonly notes: readonly Note[] }> {
  const sections: PlacedSection[] = [];
  const notes: Note[] = [];
  let readings = 0;
  let names = 0;

  async function parse(content: string, name: string, depth: number): Promise<void> {
    const reading = (readings += 1);
    for (const section of parseXinetdConf(content, name)) {
      if (section.kind === 'service' || section.kind === 'defaults') sections.push({ ...section, reading });
      else if (section.kind === 'include') await include(section.path, section.where, depth);
      else await includeAll(section.path, section.where, depth);
    }
  }

  async function include(path: string, where: string, depth: number): Promise<void> {
    if (depth === maxDepth) throw importError(where, `${path} would be the ${maxDepth + 1}th file inside another`);
    if (readings === maxFiles) throw importError(where, `${path} would be the ${maxFiles + 1}th file`);
    const content = await readText(path).catch((error: unknown) => {
      throw unreadable(error, where, path);
    });
    await parse(content, path, depth + 1);
  }

  async function includeAll(directory: string, where: string, depth: number): Promise<void> {
    readings += 1;
    if (readings > maxFiles) throw importError(where, `${directory} would be the ${maxFiles + 1}th file or directory`);
    const entries = await answerInTime(directory, systemClock, () => list(directory)).catch((error: unknown) => {
      throw unreadable(error, where, directory);
    });
    names += entries.length;
    if (names > maxNames) throw importError(where, `with ${directory}, the directories have over ${maxNames} entries`);
    for (const entry of entries) {
      const path = join(directory, entry.name);
      if (entry.isFile() || entry.isSymbolicLink()) await include(path, where, depth);
      else notes.push({ where, message: `${path} is not a regular file` });
    }
  }

  await parse(text, file, 0);
  return { sections, notes };
}

/** The files that includedir means: without a dot in the name or a tilde at its end, in the order of the C locale. */
async function list(directory: string): Promise<readonly Dirent[]> {
  const entries: Dirent[] = [];
  for await (const entry of await opendir(directory)) {
    if (entries.length === maxNames) throw new Error(`it has more than ${maxNames} entries`);
    entries.push(entry);
  }
  return entries
    .filter(({ name }) => !name.includes('.') && !name.endsWith('~'))
    .toSorted((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
}

function unreadable(error: unknown, where: string, path: string): unknown {
  return error instanceof FileError ? importError(where, `cannot read ${path}: ${error.message}`) : error;
}
