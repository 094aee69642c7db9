import { lookupServicePort } from '../../address/service-ports.ts';
import { parseDatabase } from '../../address/system-database.ts';
import { SmallservdError } from '../../errors.ts';
import { FileError, readRegularFile } from '../../regular-file.ts';
import { readStandardInput, standardInput } from '../config/source.ts';
import { arrange } from '../import/arrange.ts';
import { configText, formatNote } from '../import/config-text.ts';
import { detectFormat } from '../import/format.ts';
import type { Imported, Wrappers } from '../import/imported.ts';
import { parseInetdConf } from '../import/inetd-conf.ts';
import type { InetdDialect } from '../import/inetd-dialect.ts';
import { readXinetdSections } from '../import/xinetd-files.ts';
import { importXinetdSections } from '../import/xinetd-services.ts';

export interface ImportOptions {
  readonly dialect?: InetdDialect;
  readonly ignoreWrappers?: true;
}

/** Of all files together. A thousand entries fit. */
const maxBytes = 256 * 1024;

/**
 * `smallservd import`: returns our config for an inetd.conf or xinetd.conf, `-` for standard input. Throws
 * `CONFIG_UNREADABLE`, `IMPORT_INVALID`, and `IMPORT_EMPTY` if the file has no service that we have.
 */
export async function importConfig(file: string, { dialect, ignoreWrappers }: ImportOptions): Promise<string> {
  const name = file === standardInput ? 'standard input' : file;
  const reader = new FileReader();
  const text = await reader.readMain(file, name);
  const format = detectFormat(text, name);
  if (dialect !== undefined && format !== 'inetd')
    throw new SmallservdError('ARGUMENT_INVALID', `--dialect is for an inetd.conf, and ${name} is a xinetd.conf`);
  const wrappers = ignoreWrappers ? { refuseClients: false } : await systemWrappers();
  const imported =
    format === 'inetd'
      ? parseInetdConf(text, name, dialect, lookupServicePort, wrappers)
      : await importXinetd(text, name, reader, wrappers);
  const arranged = arrange(imported);
  if (arranged.services.length > 0) return configText(arranged, name);
  const reasons = arranged.notes.map((note) => `\n${formatNote(note)}`).slice(0, 100);
  throw new SmallservdError(
    'IMPORT_EMPTY',
    `${name}: nothing to import: none of the enabled services is built into smallservd${reasons.join('')}`,
  );
}

async function importXinetd(text: string, name: string, reader: FileReader, wrappers: Wrappers): Promise<Imported> {
  const { sections, notes } = await readXinetdSections(text, name, (path) => reader.read(path));
  const imported = importXinetdSections(sections, lookupServicePort, wrappers);
  return { services: imported.services, notes: [...notes, ...imported.notes] };
}

/** What TCP wrappers do on this machine: the rules that refuse are in hosts.deny, or say so. */
async function systemWrappers(): Promise<Wrappers> {
  const deny = await rulesIn('/etc/hosts.deny');
  const allow = await rulesIn('/etc/hosts.allow');
  return { refuseClients: deny.length > 0 || allow.some((rule) => /deny|twist/i.test(rule)) };
}

/** Returns none for a file that does not exist. One that cannot be read may say anything, so it counts as a refusal. */
async function rulesIn(file: string): Promise<readonly string[]> {
  try {
    const text = (await readRegularFile(file, maxBytes)).toString('latin1');
    return parseDatabase(text).map((words) => words.join(' '));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return error.code === 'ENOENT' ? [] : ['deny'];
  }
}

/** Reads files, up to a number of bytes in all. */
class FileReader {
  #leftBytes = maxBytes;

  async readMain(file: string, name: string): Promise<string> {
    try {
      if (file !== standardInput) return await this.read(file);
      return this.#decode(await readStandardInput(maxBytes));
    } catch (cause) {
      if (!(cause instanceof FileError)) throw cause;
      throw new SmallservdError('CONFIG_UNREADABLE', `cannot read ${name}: ${cause.message}`, { cause });
    }
  }

  /** Throws `FileError`. */
  async read(path: string): Promise<string> {
    return this.#decode(await readRegularFile(path, maxBytes));
  }

  /** Comments may be in any character set; everything else is ASCII. */
  #decode(bytes: Uint8Array): string {
    this.#leftBytes -= bytes.length;
    if (this.#leftBytes < 0)
      throw new FileError(new Error(`with it, all files are larger than ${maxBytes / 1024} KiB`));
    if (bytes.includes(0)) throw new FileError(new Error('it contains a NUL character'));
    return new TextDecoder().decode(bytes);
  }
}
