import { expect, test } from 'vitest';
import { attacks, broken, notRun } from '../attack/report.ts';
import { read, tableAfter } from './files.ts';

const report = read('docs/SAFETY-REPORT.md');
const rows = tableAfter(report, '# Safety report');

test('the safety report has a figure for every attack', () => {
  const named = rows.filter(([number]) => number !== '').map(([number, words]) => [number, words]);
  expect(named).toEqual(attacks.map((words, index) => [String(index + 1), words]));
  expect(rows.filter(([, , measured]) => measured === notRun)).toEqual([]);
});

test('the safety report has a bound for every attack and no broken bound', () => {
  const verdicts = rows.map((row) => row.at(-1));
  expect(verdicts).not.toContain(broken);
  for (const row of rows) expect(row.at(-1) === 'yes', row.join(' | ')).toBe(row[3] !== '');
  for (const [index] of attacks.entries()) expect(boundedRows(String(index + 1)), attacks[index]).not.toEqual([]);
});

test('the safety report has the soak test figures', () => {
  expect(tableAfter(report, '<!-- soak -->').length).toBeGreaterThan(0);
});

/** The rows with a bound, of an attack: only its first one names it. */
function boundedRows(number: string): readonly (readonly string[])[] {
  const first = rows.findIndex(([name]) => name === number);
  const next = rows.findIndex(([name], index) => index > first && name !== '');
  return rows.slice(first, next < 0 ? undefined : next).filter((row) => row.at(-1) === 'yes');
}
