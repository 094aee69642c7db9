import type { Live, PageEvent } from '../admin/live.ts';
import type { Cell } from './cell.ts';
import { logRows, reloadRows } from './event-rows.ts';
import { showHeader } from './header.ts';
import { processRows } from './process-rows.ts';
import { counterRows, faultRows, serviceRows, sourceRows, turnedAwayRows } from './service-rows.ts';
import { type Column, element, Table } from './table.ts';

type Status = Live['status'];

/** CPU time is taken over this many seconds: workers report once a second, so one second may have no report, or two. */
const statusesKept = 2;

/** Caption, columns, and the part of the page's width, by the name of the table. */
const layouts = {
  services: [
    'Services',
    [
      ['Service'],
      ['Listeners'],
      ['Clients', 'number'],
      ['Requests/s', 'number'],
      ['Accepted', 'number'],
      ['Datagrams', 'number'],
      ['Replies', 'number'],
      ['Received', 'number'],
      ['Sent', 'number'],
      ['Refused', 'number'],
      ['Dropped', 'number'],
      ['Listens on', 'code wrap'],
    ],
    'full',
  ],
  turnedAway: [
    'Refused and dropped',
    [['Service'], ['Action'], ['Reason'], ['Count', 'number'], ['Top source', 'code']],
    'narrow',
  ],
  workers: [
    'Processes',
    [
      ['Process'],
      ['Status'],
      ['PID', 'number'],
      ['Memory', 'number'],
      ['Heap', 'number'],
      ['CPU', 'number'],
      ['Lag', 'number'],
      ['Restarts', 'number'],
      ['Age', 'number'],
    ],
    'wide',
  ],
  sources: ['Top sources', [['Service'], ['Source', 'code'], ['Clients', 'number']], 'third'],
  faults: ['Faults in force', [['Service'], ['Fault'], ['Setting', 'code wrap'], ['Injected', 'number']], 'third'],
  reloads: ['Reloads', [['Time'], ['Result'], ['Took', 'number'], ['Error', 'wrap']], 'third'],
  counters: ['Counters of services', [['Service'], ['Counter', 'code'], ['Count', 'number']], 'full'],
  log: ['Warnings and errors', [['Time'], ['Level'], ['Message', 'wrap'], ['Fields', 'code wrap']], 'full'],
} as const satisfies Readonly<
  Record<string, readonly [string, readonly Column[], 'full' | 'wide' | 'narrow' | 'third']>
>;

type TableName = keyof typeof layouts;

/** All of the page but the plots. */
export class StatusView {
  readonly #tables: ReadonlyMap<TableName, Table>;
  /** The last ones, oldest first. */
  readonly #statuses: Status[] = [];
  #faults: Live['faults'] = {};

  constructor(root: HTMLElement) {
    const names = Object.keys(layouts) as TableName[];
    this.#tables = new Map(
      names.map((name) => {
        const [title, columns, width] = layouts[name];
        const caption = element('caption', '', title);
        caption.id = `${name}-caption`;
        const table = new Table(caption, columns);
        // A region that can be scrolled by keyboard.
        const region = element('section', `table ${width}`);
        region.id = name;
        region.tabIndex = 0;
        region.setAttribute('aria-labelledby', caption.id);
        region.append(table.root);
        root.append(region);
        table.show([]);
        return [name, table];
      }),
    );
  }

  show({ name, value }: PageEvent): void {
    if (name === 'status') this.#update(value);
    if (name === 'reloads') this.#show('reloads', reloadRows(value));
    if (name === 'log') this.#show('log', logRows(value));
    if (name === 'faults') this.#faults = value;
    this.#show('faults', faultRows(this.#faults, this.#statuses.at(-1)));
  }

  #update(status: Status): void {
    this.#statuses.push(status);
    const before = this.#before(status);
    if (this.#statuses.length > statusesKept) this.#statuses.shift();
    showHeader(status);
    this.#show('services', serviceRows(status));
    this.#show('turnedAway', turnedAwayRows(status));
    this.#show('sources', sourceRows(status));
    this.#show('workers', processRows(status, before));
    const counters = counterRows(status);
    this.#show('counters', counters);
    this.#hide('counters', counters.length === 0);
  }

  /** The earliest status that is kept, unless another daemon sent it. */
  #before({ pid, startedAt }: Status): Status | undefined {
    const [before] = this.#statuses;
    return before?.pid === pid && before.startedAt === startedAt ? before : undefined;
  }

  /** Few services have counters. */
  #hide(name: TableName, isHidden: boolean): void {
    const region = this.#tables.get(name)?.root.parentElement;
    if (region) region.hidden = isHidden;
  }

  #show(name: TableName, rows: readonly (readonly Cell[])[]): void {
    this.#tables.get(name)?.show(rows);
  }
}
