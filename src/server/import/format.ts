import { fieldsOf, importError, quote, trimLine } from './imported.ts';

export type ImportFormat = 'inetd' | 'xinetd';

/** inetd.conf(5) has it in the second column. */
const socketTypes: ReadonlySet<string | undefined> = new Set(['stream', 'dgram', 'raw', 'rdm', 'seqpacket']);

/** Whether these fields begin an entry of inetd.conf(5), complete or not. */
export function isInetdEntry(fields: readonly string[]): boolean {
  return socketTypes.has(fields[1]);
}

/**
 * Tells the two formats apart by their first entry. A file with comments alone is an inetd.conf, which has its disabled
 * entries in comments. Throws `IMPORT_INVALID` if no line belongs to either.
 */
export function detectFormat(text: string, file: string): ImportFormat {
  let firstLine: string | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const content = trimLine(line);
    if (content === '' || content.startsWith('#')) continue;
    const fields = fieldsOf(content);
    if (isInetdEntry(fields) || /^\S+:$/.test(content)) return 'inetd';
    if (/^(?:service|include|includedir)\s+\S|^defaults\s*(?:\{|$)/.test(content)) return 'xinetd';
    firstLine ??= `${file}:${index + 1}: ${quote(content)}`;
  }
  if (firstLine === undefined) return 'inetd';
  throw importError(firstLine, 'not an entry of inetd.conf or xinetd.conf');
}
