import { parseServicesFile } from '../../../../src/address/service-ports.ts';
import { arrange, type Arranged } from '../../../../src/server/import/arrange.ts';
import { configText } from '../../../../src/server/import/config-text.ts';
import type { Imported } from '../../../../src/server/import/imported.ts';
import { parseInetdConf } from '../../../../src/server/import/inetd-conf.ts';
import type { InetdDialect } from '../../../../src/server/import/inetd-dialect.ts';
import { readXinetdSections } from '../../../../src/server/import/xinetd-files.ts';
import { importXinetdSections } from '../../../../src/server/import/xinetd-services.ts';

const lookup = parseServicesFile('');

/** Reads an inetd.conf called `inetd.conf`. */
export function inetd(text: string, dialect?: InetdDialect, refuseClients = false): Imported {
  return parseInetdConf(text, 'inetd.conf', dialect, lookup, { refuseClients });
}

/** Reads a xinetd.conf called `x`, and the files that it includes from `files`. */
export async function xinetd(
  text: string,
  files: Readonly<Record<string, string>> = {},
  refuseClients = false,
): Promise<Imported> {
  const read = async (path: string): Promise<string> => files[path] ?? Promise.reject(new Error(`no ${path}`));
  const { sections, notes } = await readXinetdSections(text, 'x', read);
  const imported = importXinetdSections(sections, lookup, { refuseClients });
  return { services: imported.services, notes: [...notes, ...imported.notes] };
}

/** A section of xinetd.conf for an internal service, TCP unless the attributes say otherwise. */
export function entry(name: string, ...attributes: readonly string[]): string {
  const socketType = attributes.some((each) => each.startsWith('socket_type ')) ? [] : ['socket_type = stream'];
  return `service ${name}\n{\n${['type = INTERNAL', 'wait = no', ...socketType, ...attributes].join('\n')}\n}\n`;
}

/** `line: message` for each note; with the name of the file if there are several. */
export function notesOf({ notes }: Pick<Arranged, 'notes'>): readonly string[] {
  return notes.map(({ where, message }) => `${where.replace(/^(inetd\.conf|x):/, '')}: ${message}`);
}

/** The config for what was read. */
export function textOf(imported: Imported): string {
  return configText(arrange(imported), 'inetd.conf');
}
