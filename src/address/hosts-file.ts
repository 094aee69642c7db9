import { parseDatabase } from './system-database.ts';

/** The canonical name of a host in hosts(5) text, the first name on its line. Undefined if the host is not listed. */
export function canonicalNameInHosts(text: string, host: string): string | undefined {
  const wanted = host.toLowerCase();
  const line = parseDatabase(text).find(([, ...names]) => names.some((name) => name.toLowerCase() === wanted));
  return line?.[1];
}
