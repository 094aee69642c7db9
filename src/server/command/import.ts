import { lookupServicePort } from '../../address/service-ports.ts';
import { parseDatabase, readDatabase } from '../../address/system-database.ts';
import { SmallservdError } from '../../errors.ts';
import { FileError, readRegularFile } from '../../regular-file.ts';
import { readStandardInput, standardInput } from '../config/source.ts';
import { arrange } from '../import/arrange.ts';
import { configText, formatNote } from '../import/config-text.ts';
import { detectFormat } from '../import/format.ts';
import type { Imported } from '../import/imported.ts';
import { parseInetdConf } from '../import/inetd-conf.ts';
import type { InetdDialect } from '../import/inetd-dialect.ts';
import { readXinetdSections } from '../import/xinetd-files.ts';
import { importXinetdSections, type Wrappers } from '../import/xinetd-services.ts';

export interface ImportOptions {
  readonly dialect?: InetdDialect;
}

/** Of all files together. A thousand entries fit. */
const maxBytes = 256 * 1024;

/**
 * `smallservd import`: returns our config for an inetd.conf or xinetd.conf, `-` for standard input. Throws
 * `CONFIG_UNREADABLE`, `IMPORT_INVALID`, and `IMPORT_EMPTY` if the file has no service that we have.
 */
export async function importConfig(file: string, { dialect }: ImportOptions): Promise<string> {
  const name = file === standardInput ? 'standard input' : file;
  const reader = new FileReader();
  const text = await reader.readMain(file, name);
  const imported =
    detectFormat(text, name) === 'inetd'
      ? parseInetdConf(text, name, dialect, lookupServicePort)
      : await importXinetd(text, name, reader);
  const arranged = arrange(imported);
  if (arranged.services.length > 0) return configText(arranged, name);
  const reasons = arranged.notes.map((note) => `\n${formatNote(note)}`).slice(0, 100);
  throw new SmallservdError('IMPORT_EMPTY', `${name}: no enabled service that smallservd has${reasons.join('')}`);
}

async function importXinetd(text: string, name: string, reader: FileReader): Promise<Imported> {
  const { sections, notes } = await readXinetdSections(text, name, (path) => reader.read(path));
  const imported = importXinetdSections(sections, lookupServicePort, systemWrappers());
  return { services: imported.services, notes: [...notes, ...imported.notes] };
}

/** The rules of TCP wrappers on this machine: those to refuse are in hosts.deny, or say so. */
function systemWrappers(): Wrappers {
  const [deny, allow] = ['/etc/hosts.deny', '/etc/hosts.allow'].map((file) => parseDatabase(readDatabase(file)));
  return { refuseClients: (deny ?? []).length > 0 || (allow ?? []).some(isRefusal) };
}

function isRefusal(rule: readonly string[]): boolean {
  return /deny|twist/i.test(rule.join(' '));
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
