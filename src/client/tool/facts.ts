import { wrap } from '../../terminal-text.ts';

/** One name and value per line, with the values aligned and wrapped. Undefined values are left out. */
export function formatFacts(
  facts: readonly (readonly [name: string, value: string | undefined])[],
  columns: number = Infinity,
): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  const indentation = ' '.repeat(width + 2);
  return facts
    .filter(([, value]) => value !== undefined)
    .map(([name, value = '']) => `${name.padEnd(width)}  ${wrap(value, columns, indentation).trimStart()}\n`)
    .join('');
}
