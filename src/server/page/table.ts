import type { Cell } from './cell.ts';
import { visible } from './format.ts';

/** A column: its heading and the classes of its cells, `number`, `code` or `wrap`. */
export type Column = readonly [heading: string, classes?: string];

/** The only way in which text gets into the page. */
export function setText(node: Element, text: string): void {
  const shown = visible(text);
  // Whoever selects text, or has it read out, is not disturbed by what stays the same.
  if (node.textContent !== shown) node.textContent = shown;
}

/** Creates an element with classes and text. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  classes: string = '',
  text: string = '',
): HTMLElementTagNameMap[Name] {
  const created = document.createElement(name);
  if (classes !== '') created.className = classes;
  if (text !== '') setText(created, text);
  return created;
}

/** A table of text, whose first column is the heading of each row. */
export class Table {
  readonly root: HTMLTableElement = element('table');
  readonly #columns: readonly Column[];
  readonly #headings: readonly HTMLTableCellElement[];
  readonly #body: HTMLTableSectionElement;

  constructor(caption: HTMLTableCaptionElement, columns: readonly Column[]) {
    this.#columns = columns;
    this.root.append(caption);
    const row = this.root.createTHead().insertRow();
    this.#headings = columns.map(([heading, classes]) => {
      const cell = element('th', classes?.includes('number') ? 'number' : '', heading);
      cell.scope = 'col';
      row.append(cell);
      return cell;
    });
    this.#body = this.root.createTBody();
  }

  setHeading(column: number, text: string): void {
    const cell = this.#headings[column];
    if (cell !== undefined) setText(cell, text);
  }

  /** Shows these rows, in the elements that are there. `sign` makes what stands before the text of a row. */
  show(rows: readonly (readonly Cell[])[], sign?: (row: number) => HTMLElement): void {
    if (rows.length === 0) {
      this.#showNone();
      return;
    }
    if (this.#body.rows[0]?.cells.length !== this.#columns.length) this.#body.replaceChildren();
    while (this.#body.rows.length > rows.length) this.#body.deleteRow(-1);
    for (const [index, cells] of rows.entries()) {
      const row = this.#body.rows[index] ?? this.#insertRow(index, sign);
      for (const [column, cell] of cells.entries()) showCell(row.cells[column], cell, this.#columns[column]?.[1] ?? '');
    }
  }

  #insertRow(index: number, sign?: (row: number) => HTMLElement): HTMLTableRowElement {
    const row = this.#body.insertRow();
    for (const column of this.#columns.keys()) {
      const cell = element(column === 0 ? 'th' : 'td');
      if (column === 0) cell.scope = 'row';
      row.append(cell);
      if (column === 0 && sign !== undefined) cell.append(sign(index));
      cell.append(element('span'));
    }
    return row;
  }

  #showNone(): void {
    if (this.#body.querySelector('.none') !== null) return;
    const cell = element('td', 'none', 'none');
    cell.colSpan = this.#columns.length;
    const row = element('tr');
    row.append(cell);
    this.#body.replaceChildren(row);
  }
}

function showCell(place: HTMLTableCellElement | undefined, cell: Cell, classes: string): void {
  const text = place?.querySelector('span');
  if (place === undefined || !(text instanceof HTMLElement)) return;
  if (place.className !== classes) place.className = classes;
  setText(text, typeof cell === 'string' ? cell : cell.text);
  const mark = typeof cell === 'string' ? '' : cell.mark;
  if (text.className !== mark) text.className = mark;
}
