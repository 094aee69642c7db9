import { escapeToOneLine } from '../../terminal-text.ts';

/** Formats rows in columns separated by two spaces. The first row is the head, underlined. */
export function formatTable(head: readonly string[], data: readonly (readonly string[])[]): string {
  // A line end in a cell would start a row that is not there.
  const rows = data.map((row) => row.map(escapeToOneLine));
  const widths = head.map((title, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), title.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      // The last column is not padded: a single long cell would multiply by the number of rows.
      .map((cell, column) => (column < head.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell))
      .join('  ')
      .trimEnd();
  return [head, widths.map((width) => '─'.repeat(width)), ...rows].map((row) => `${line(row)}\n`).join('');
}
