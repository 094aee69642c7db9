import { expect, test } from 'vitest';
import { formatStatus } from '../../src/server/command/status.ts';
import { WatchRows } from '../../src/server/command/watch.ts';
import { renderAll, renderFrame } from '../../src/server/top/frame.ts';
import { unicodeGlyphs } from '../../src/server/top/text.ts';
import { snapshot } from '../unit/server/admin/snapshot.ts';
import { textOf, topState } from '../unit/server/top/state.ts';
import { blocksOf, read } from './files.ts';

const [frame = '', status = '', watch = ''] = blocksOf(read('docs/TOP.md')).map(({ text }) => text);
const inReadme = blocksOf(read('README.md')).find(({ text }) => text.includes('REQ/S'))?.text ?? '';

/** The headings of tables, and the names of charts. */
function headingsOf(text: string): readonly string[] {
  const heads = text.match(/^[A-Z]{4}.*$/gm) ?? [];
  const charts = text.match(/(?:^|(?<= ))(?:[a-z]+\/s|clients)(?= )/gm) ?? [];
  return [...heads.flatMap((head) => head.split(/ {2,}/)), ...charts];
}

/** The heads of tables with a rule. */
function tablesOf(text: string): readonly string[] {
  return [...text.matchAll(/^(.*)\n─/gm)].map(([, head = '']) => head.replaceAll(/ {2,}/g, ' '));
}

test.each([
  ['docs/TOP.md', frame],
  ['README.md', inReadme],
])('%s shows a frame of top', (_, shown) => {
  const known = new Set(headingsOf(textOf(renderAll(topState(), 160, unicodeGlyphs))));
  expect(headingsOf(shown).length).toBeGreaterThan(12);
  expect(headingsOf(shown).filter((heading) => !known.has(heading))).toEqual([]);
  expect(shown).toMatch(/^smallservd \S+ {2}ready {2}up .* tcp:\/\/localhost:9013\nprocess \d+, .*config \//);
  expect(shown).toMatch(/^echo .* [▁-█]+$/m);
  expect(shown.split('\n').filter((line) => line.length > 80)).toEqual([]);
  const [keys = ''] =
    /^q quit .*\? help/m.exec(textOf(renderFrame(topState(), { columns: 80, rows: 24 }, unicodeGlyphs).lines)) ?? [];
  if (shown === frame) expect(shown).toContain(`\n${keys}`);
});

test('docs/TOP.md shows the tables of status', () => {
  const tables = tablesOf(formatStatus(snapshot()));
  expect(tablesOf(status)).toEqual(tables);
  expect(status.split('\n').filter((line) => line.length > 60)).toEqual([]);
});

test('docs/TOP.md shows the lines of status --watch', () => {
  const [head = ''] = new WatchRows(1000).next(snapshot()).split('\n');
  const [shown, ...rows] = watch.trimEnd().split('\n');
  expect(shown).toBe(head);
  for (const row of rows) expect(row).toMatch(/^[\d:]{8} +\d+ +[\d.,]+ +[\d.]+ \w+ +[\d.]+ \w+ +[\d.]+ +[\d.]+$/);
});
