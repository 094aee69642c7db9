/** What a soak promises, and its figures for a reader. */
import { holds } from './figures.ts';
import { formatTable } from '../../src/server/command/table.ts';
import type { SoakedKind } from './soak.ts';

const attack = 17;
const mebibyte = 1024 * 1024;

/** Writes the figures of a soak down, the worst of all kinds each, and fails the test where one is broken. */
export function judgeSoak(soaked: readonly SoakedKind[], mostBytesPerRequest: number): void {
  const requests = Math.max(...soaked.map((each) => each.requests));
  const of = `${requests.toLocaleString('en')} requests of each of ${soaked.length} kinds`;
  const worst = (figure: (each: SoakedKind) => number): number => Math.max(...soaked.map(figure));
  const unanswered = soaked.reduce((sum, each) => sum + each.requests - each.answered, 0);
  holds(attack, `${of}: not answered, or wrong`, unanswered, { atMost: 0 });
  const turnedAway = soaked.reduce((sum, each) => sum + each.turnedAway, 0);
  holds(attack, `${of}: refused or dropped by a guard`, turnedAway, { atMost: 0 });
  const descriptors = worst(({ descriptors: [first, last] }) => Math.abs(last - first));
  holds(attack, `${of}: descriptors gained or lost, the worst kind`, descriptors, { atMost: 0 });
  const bytes = worst((each) => each.heldBytes);
  holds(attack, `${of}: heap and external memory gained, the worst kind`, bytes, { atMost: mebibyte, unit: ' bytes' });
  const slope = worst((each) => each.heldBytesPerRequest);
  holds(attack, `${of}: the same, per request (median slope)`, slope, {
    atMost: mostBytesPerRequest,
    unit: ' bytes',
    digits: 2,
  });
}

const columns = [
  'kind',
  'requests',
  'answered',
  'requests/s',
  'bytes gained',
  'bytes per request',
  'descriptors',
  'resident MiB',
];

/** A row for each kind, as Markdown. */
export function markdownOf(soaked: readonly SoakedKind[]): string {
  const rows = [columns, columns.map((_column, index) => (index === 0 ? '---' : '---:')), ...soaked.map(cellsOf)];
  return rows.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** The same for a terminal. */
export function textOf(soaked: readonly SoakedKind[]): string {
  return formatTable(columns, soaked.map(cellsOf));
}

function cellsOf(each: SoakedKind): string[] {
  const { kind, requests, answered, seconds, heldBytes, heldBytesPerRequest, descriptors, residentBytes } = each;
  const counts = [requests, answered, requests / seconds, heldBytes].map((count) =>
    Math.round(count).toLocaleString('en'),
  );
  const resident = residentBytes.map((bytes) => Math.round(bytes / mebibyte));
  return [kind, ...counts, heldBytesPerRequest.toFixed(2), descriptors.join(' → '), resident.join(' → ')];
}
