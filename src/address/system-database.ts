import { readFileSync } from 'node:fs';

/**
 * The fields of each line of a file such as /etc/services, /etc/protocols and /etc/hosts; comments and empty lines are
 * left out.
 */
export function parseDatabase(text: string): readonly (readonly [string, ...string[]])[] {
  return text.split('\n').flatMap((line) => {
    const [first = '', ...rest] = line.replace(/#.*/, '').trim().split(/\s+/);
    return first === '' ? [] : [[first, ...rest]];
  });
}

/** The text of such a file. A file that is missing or unreadable is an empty one. */
export function readDatabase(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
