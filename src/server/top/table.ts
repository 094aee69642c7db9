import type { Cell } from '../page/cell.ts';
import { type Glyphs, type Line, padded, shown, type Span, type Style, widthOf } from './text.ts';

/** A column of a table. */
export interface Column {
  readonly title: string;
  readonly side: 'left' | 'right';
  /** What is left out first where the width does not do; 0: never. */
  readonly rank: number;
  /** The fewest and the most columns of the terminal that it takes, if there is room. */
  readonly least: number;
  readonly most: number;
  /** Whether it is cut before it or another column is left out. */
  readonly isLong: boolean;
}

export interface FittedTable {
  readonly head: Line;
  readonly rows: readonly Line[];
  /** How many columns of the terminal it takes. */
  readonly width: number;
}

const gap = '  ';

/** A long column is not worth less. */
const longLeast = 16;

const styleOfMark = { good: 'green', warn: 'yellow', bad: 'red' } as const satisfies Readonly<Record<string, Style>>;

/** Puts cells into columns, and leaves out those that do not fit. */
export function fitTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
  glyphs: Glyphs,
): FittedTable {
  const texts = rows.map((row) =>
    row.map((cell, column) => shown(textOf(cell), columns[column]?.most ?? width, glyphs)),
  );
  const natural = columns.map(({ title, least, most }, column) =>
    Math.min(
      most,
      texts.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? '')), Math.max(least, title.length)),
    ),
  );
  const kept = keptColumns(columns, natural, width);
  const widths = shrunk(
    kept.map((column) => natural[column] ?? 0),
    width,
  );
  const lineOf = (cells: readonly string[], styleOf: (column: number) => Style | undefined): Line =>
    kept.flatMap((column, index): readonly Span[] => {
      const most = widths[index] ?? 0;
      const text = padded(shown(cells[column] ?? '', most, glyphs), most, columns[column]?.side ?? 'left');
      return [...(index === 0 ? [] : [{ text: gap }]), { text, style: styleOf(column) }];
    });
  return {
    head: lineOf(
      columns.map(({ title }) => title),
      () => 'bold',
    ),
    rows: texts.map((row, index) => lineOf(row, (column) => styleOfCell(rows[index]?.[column]))),
    width: totalOf(widths),
  };
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

function styleOfCell(cell: Cell | undefined): Style | undefined {
  return cell === undefined || typeof cell === 'string' ? undefined : styleOfMark[cell.mark];
}

function totalOf(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each, Math.max(0, widths.length - 1) * gap.length);
}

/** The indices of the columns to show. */
function keptColumns(columns: readonly Column[], natural: readonly number[], width: number): readonly number[] {
  let kept = columns.map((_, index) => index);
  const rank = (index: number): number => columns[index]?.rank ?? 0;
  const needed = (index: number): number =>
    columns[index]?.isLong === true ? Math.min(longLeast, natural[index] ?? 0) : (natural[index] ?? 0);
  while (totalOf(kept.map(needed)) > width) {
    const first = kept.toSorted((a, b) => rank(b) - rank(a))[0] ?? 0;
    if (rank(first) === 0) return kept;
    kept = kept.filter((index) => index !== first);
  }
  return kept;
}

/** Takes from the widest until all fit. */
function shrunk(natural: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  let excess = totalOf(widths) - width;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= 1) return widths;
    const next = Math.max(1, ...widths.filter((each) => each < widest));
    const those = widths.filter((each) => each === widest).length;
    const step = Math.min(widest - next || 1, Math.ceil(excess / those));
    for (const [index, each] of widths.entries()) if (each === widest) widths[index] = each - step;
    excess = totalOf(widths) - width;
  }
  return widths;
}
