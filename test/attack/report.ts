/** The report on the attacks: what their figures look like to a reader. */
import { formatTable } from '../../src/server/command/table.ts';
import type { Figure, ServerName } from './figures.ts';

/** All that are tried, by their number from 1 on. */
export const attacks = [
  'reflection from 1, 1,000 and 100,000 spoofed sources',
  'one spoofed packet between two smallservd daemons, and from each well-known service port',
  'source port 0',
  'broadcast, multicast and 0.0.0.0 as source, broadcast as destination',
  'datagrams of 0, 1 and 65,507 bytes',
  'flood from one source',
  '1,000,000 different sources',
  'a client that reads nothing, or one byte a second, on chargen and echo',
  'a writer that never reads, on echo',
  'connection flood past every limit and past the descriptor limit',
  '10,000 clients that reset, half-close or vanish at every step',
  'log injection: control bytes, escape sequences, very long input',
  'a log reader that stops reading',
  'a service that throws, floods or hangs',
  'kill -9 of a worker under load',
  'bad config at start and at reload',
  'soak: many requests of each kind',
] as const;

/** The first twelve are what strangers do over the network. The others are tried with the kernel's sockets alone. */
export const attacksOfStrangers = 12;

/** Stands where an attack has no figure. */
export const notRun = 'not run';

export const broken = '**BROKEN**';

/** Where and when the figures were measured. */
export interface Circumstances {
  /** `2026-11-22`. */
  readonly date: string;
  /** Name and version. */
  readonly versions: readonly (readonly [string, string])[];
  readonly machine: string;
}

/** One line of the table. */
export interface ReportRow {
  readonly attack: number;
  readonly what: string;
  readonly bound: string;
  readonly measured: Readonly<Partial<Record<ServerName, string>>>;
  /** Undefined where the figure has no bound. */
  readonly holds: boolean | undefined;
}

/** A line for each figure, by attack, and one for each attack without any. A figure that was broken once stays so. */
export function rowsOf(figures: readonly Figure[]): readonly ReportRow[] {
  return attacks.flatMap((_words, index) => {
    const attack = index + 1;
    const own = figures.filter((figure) => figure.attack === attack);
    if (own.length === 0) return [{ attack, what: notRun, bound: '', measured: {}, holds: undefined }];
    return [...new Set(own.map(({ what }) => what))].map((what) => rowOf(attack, what, own));
  });
}

function rowOf(attack: number, what: string, figures: readonly Figure[]): ReportRow {
  const own = figures.filter((figure) => figure.what === what);
  // Later ones first, broken ones before them: what is found first is what the row shows.
  const latest = own.toReversed();
  const shown = [...latest.filter(({ holds }) => holds === false), ...latest];
  const ofServers = servers.flatMap((server) => shown.find((figure) => figure.server === server) ?? []);
  const bounded = ofServers.filter(({ bound }) => bound !== undefined);
  const bound = bounded[0]?.bound ?? '';
  const cells = ofServers.map((figure) => [figure.server, cellOf(figure, bound)] as const);
  const isKept = bounded.every(({ holds }) => holds === true);
  return { attack, what, bound, measured: Object.fromEntries(cells), holds: bounded.length > 0 ? isKept : undefined };
}

/** What was measured, with the bound if it is another than that of the row. */
function cellOf({ measured, bound }: Figure, boundOfRow: string): string {
  return bound === undefined || bound === boundOfRow ? measured : `${measured} (${bound})`;
}

/** Whether every attack has a figure, and every attack of strangers also one with the sockets of Node. */
export function isWhole(figures: readonly Figure[]): boolean {
  const isTried = (attack: number, server: ServerName): boolean =>
    figures.some((figure) => figure.attack === attack && figure.server === server);
  return attacks.every((_words, index) => {
    const attack = index + 1;
    return isTried(attack, 'smallservd') && (attack > attacksOfStrangers || isTried(attack, 'sockets: node'));
  });
}

/** The report as a document. `soak` is what stands in its section of that name, see `sectionOf`. */
export function writeReport(figures: readonly Figure[], circumstances: Circumstances, soak: string): string {
  const { date, versions, machine } = circumstances;
  const rows = rowsOf(figures);
  const lines = rows.map(({ attack, what, bound, measured, holds }, index) => {
    const isFirst = rows[index - 1]?.attack !== attack;
    const head = isFirst ? [String(attack), attacks[attack - 1] ?? ''] : ['', ''];
    const values = servers.map((server) => measured[server] ?? '');
    return `| ${[...head, what, bound, ...values, verdict(holds)].map(escapeCell).join(' | ')} |\n`;
  });
  const columns = ['#', 'attack', 'measured', 'bound', ...servers.map(headOf), 'holds'];
  return `# Safety report

This is what the daemon did under each attack, and what it promises. \`npm run attack\` runs them all against the built
daemon and writes this file. It fails if a bound is broken. What strangers do over the network is tried for a second
time, with fewer variants, on a daemon with \`sockets: node\`. A bound in parentheses holds there. Node's sockets take
fewer datagrams a second, and [some floods are not held off](LIMITS.md#sockets-of-node). Two inetds were attacked in the
same way, where they have the service. They promise none of these bounds.

- Date: ${date}
- Versions: ${versions.map(([name, version]) => `${name} ${version}`).join(', ')}
- Machine: ${machine}

Bytes are counted on the wire: a datagram takes \`max(64, length of the IP packet + 18) + 20\`, an Ethernet frame with
preamble and gap (RFC 2544).

| ${columns.join(' | ')} |
|${columns.map(() => '---').join('|')}|
${lines.join('')}
## Soak

\`npm run soak\` makes a million requests of each kind, and writes this section.

${openMark('soak')}
${soak}${closeMark('soak')}
`;
}

/** The same for a terminal. */
export function printReport(figures: readonly Figure[]): string {
  const rows = rowsOf(figures);
  return formatTable(
    ['#', 'measured', 'bound', ...servers, 'holds'],
    rows.map(({ attack, what, bound, measured, holds }) => [
      String(attack),
      what,
      bound,
      ...servers.map((server) => measured[server] ?? ''),
      verdict(holds),
    ]),
  );
}

const servers: readonly ServerName[] = ['smallservd', 'sockets: node', 'xinetd', 'inetutils-inetd'];

function headOf(server: ServerName): string {
  return server === 'sockets: node' ? '`sockets: node`' : server;
}

function verdict(holds: boolean | undefined): string {
  if (holds === undefined) return '';
  return holds ? 'yes' : broken;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', String.raw`\|`);
}

/** The lines between `<!-- NAME -->` and `<!-- /NAME -->`; undefined where the document has no such section. */
export function sectionOf(document: string, name: string): string | undefined {
  return partsOf(document, name)?.section;
}

/** The document with other lines in that section. Throws an Error where it has none. */
export function replaceSection(document: string, name: string, section: string): string {
  const parts = partsOf(document, name);
  if (parts === undefined) throw new Error(`there is no section ${openMark(name)}`);
  return `${parts.before}${section}${parts.after}`;
}

interface Parts {
  readonly before: string;
  readonly section: string;
  readonly after: string;
}

function partsOf(document: string, name: string): Parts | undefined {
  const open = `${openMark(name)}\n`;
  const start = document.indexOf(open);
  const begin = start + open.length;
  const end = document.indexOf(closeMark(name), begin);
  if (start < 0 || end < 0) return undefined;
  return { before: document.slice(0, begin), section: document.slice(begin, end), after: document.slice(end) };
}

function openMark(name: string): string {
  return `<!-- ${name} -->`;
}

function closeMark(name: string): string {
  return `<!-- /${name} -->`;
}
