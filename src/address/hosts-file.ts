import { parseDatabase } from './system-database.ts';

/**
 * The canonical name of a host in the text of a hosts(5) file: the first on its line, aliases follow. Undefined: it has
 * no line.
 */
export function canonicalNameInHosts(text: string, host: string): string | undefined {
  const wanted = host.toLowerCase();
  const line = parseDatabase(text).find(([, ...names]) => names.some((name) => name.toLowerCase() === wanted));
  return line?.[1];
}
