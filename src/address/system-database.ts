import { readFileSync } from 'node:fs';

/** The fields of each line of a file such as /etc/services or /etc/hosts, without comments and empty lines. */
export function parseDatabase(text: string): readonly (readonly [string, ...string[]])[] {
  return text.split('\n').flatMap((line) => {
    const [first = '', ...rest] = line.replace(/#.*/, '').trim().split(/\s+/);
    return first === '' ? [] : [[first, ...rest]];
  });
}

/** Reads such a file. A missing or unreadable file counts as empty. */
export function readDatabase(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
