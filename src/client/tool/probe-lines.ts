import { answerText, type ProbeResult, type ProbeSample } from '../probe.ts';
import { countOf } from '../../units.ts';
import { formatTime } from './sample-text.ts';
import { formatMilliseconds } from './round-trips.ts';
import type { Color, Terminal } from './terminal.ts';

/** Longer names do not move the other columns. */
const mostNameColumns = 30;
const outcomeColumns = 13;
const timeColumns = 8;
/** With escapes. */
const shownAnswerCharacters = 48;

/** The width of the first column for these targets. */
export function nameColumns(names: readonly string[]): number {
  return names.reduce((width, { length }) => (length > mostNameColumns ? width : Math.max(width, length)), 0);
}

/** Target, outcome, time and what is known besides, in one line. On a terminal it is cut to `columns`. */
export function formatSample(
  sample: ProbeSample,
  width: number,
  terminal: Pick<Terminal, 'isTerminal' | 'paint'>,
  columns: number,
  note: string = detailOf(sample),
): string {
  const { target, outcome, elapsedMs } = sample;
  const time = `${formatTime(elapsedMs)} ms`.padStart(timeColumns);
  const head = `${target.padEnd(width)}  ${outcome.padEnd(outcomeColumns)} ${time}`;
  const detail = note === '' ? '' : `  ${escapeToAscii(note)}`;
  const line =
    terminal.isTerminal && head.length + detail.length > columns ? cut(head + detail, columns) : head + detail;
  const start = target.padEnd(width).length + 2;
  const end = start + outcome.length;
  if (line.length < end) return line;
  return line.slice(0, start) + terminal.paint(colorOf(sample), outcome) + line.slice(end);
}

/** Half a surrogate pair is left out. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns) return text;
  return `${text.slice(0, Math.max(0, columns - 1)).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Escapes all but printable ASCII, and the ellipsis of `quote`: other characters may take no column, or two. */
function escapeToAscii(text: string): string {
  return text.replace(/[^\x20-\x7e…]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function colorOf({ outcome }: ProbeSample): Color {
  if (outcome === 'ok') return 'green';
  return outcome === 'timeout' ? 'yellow' : 'red';
}

/** What is wrong, or else what the server said. */
function detailOf({ outcome, error, tls, answer }: ProbeSample): string {
  const parts: string[] = [];
  // Most messages begin with the target.
  const isAboutTarget = outcome !== 'no-name' && outcome !== 'invalid';
  if (error !== undefined) parts.push(isAboutTarget ? error.replace(/^.*?: /, '') : error);
  if (tls !== undefined) {
    parts.push(`${tls.version} ${tls.cipher}`);
    if (tls.validDays !== undefined) parts.push(countOf(tls.validDays, 'day'));
    if (error === undefined && tls.distrust !== undefined) parts.push(tls.distrust);
  }
  if (answer !== undefined) parts.push(quote(answerText(answer)));
  return parts.join(', ');
}

/** The beginning, with escapes. */
function quote(text: string): string {
  let shown = '';
  for (const character of text) {
    const next = escapeToAscii(JSON.stringify(character).slice(1, -1));
    if (shown.length + next.length > shownAnswerCharacters) return `"${shown}…"`;
    shown += next;
  }
  return `"${shown}"`;
}

/** `3 targets, 6 probes: 4 ok, 2 refused`, and the times of those that were ok. */
export function formatProbes({ targets, probes, counts, times, elapsedMs }: ProbeResult): string {
  const size = `${countOf(targets, 'target')}, ${countOf(probes, 'probe')}`;
  const lines = [`--- ${size}: ${formatCounts(counts)}, ${Math.round(elapsedMs)} ms`];
  if (times !== undefined && times.count > 1) {
    const { minMs, meanMs, p90Ms, maxMs } = times;
    lines.push(`time min/avg/p90/max = ${formatMilliseconds([minMs, meanMs, p90Ms, maxMs])} ms`);
  }
  return `${lines.join('\n')}\n`;
}

/** `4 ok, 2 refused`. */
export function formatCounts(counts: ProbeResult['counts']): string {
  const parts = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
