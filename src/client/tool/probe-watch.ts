import type { Outcome } from '../../outcomes.ts';
import { type ProbeSample, withShortAnswer } from '../probe.ts';
import { cut, formatCounts, formatSample, nameColumns } from './probe-lines.ts';
import type { Terminal } from './terminal.ts';

/** How long a change is marked, at least until the next probe. */
const markedMs = 2000;

/** A target in the table. */
interface Row {
  sample: ProbeSample;
  /** The latest change of its outcome. */
  change?: { readonly from: Outcome; readonly sample: ProbeSample };
}

/** What is known of all targets, as a table that is drawn again and again. */
export class ProbeTable {
  readonly #rows = new Map<string, Row>();
  readonly #names: readonly string[];

  /** The targets in the order of the table. */
  constructor(names: readonly string[]) {
    this.#names = [...new Set(names)];
  }

  /** Returns whether the outcome of the target has changed. The first one counts as a change. */
  add(complete: ProbeSample): boolean {
    const sample = withShortAnswer(complete);
    const row = this.#rows.get(sample.target);
    if (row === undefined) {
      this.#rows.set(sample.target, { sample });
      return true;
    }
    const hasChanged = row.sample.outcome !== sample.outcome;
    if (hasChanged) row.change = { from: row.sample.outcome, sample };
    row.sample = sample;
    return hasChanged;
  }

  /** The lines for this terminal. If there are too many, those of targets that are ok are left out. */
  draw(terminal: Pick<Terminal, 'isTerminal' | 'paint' | 'columns' | 'rows'>): readonly string[] {
    const all = this.#names.flatMap((name) => this.#rows.get(name) ?? []);
    // For the title, the line of what is left out, and the cursor.
    const most = Math.max(1, terminal.rows - 3);
    const urgent = all.filter((row) => row.sample.outcome !== 'ok' || isFresh(row));
    const shown = (all.length <= most ? all : urgent).slice(0, most);
    const width = nameColumns(shown.map(({ sample }) => sample.target));
    const columns = Math.max(20, terminal.columns - 1);
    const lines = [cut(this.#title(all), columns)];
    for (const row of shown) {
      const { sample, change } = row;
      const note = change === undefined ? undefined : `was ${change.from} until ${timeOf(change.sample)}`;
      const line = formatSample(sample, width, terminal, columns - 2, note);
      lines.push(isFresh(row) ? `${terminal.paint('yellow', '*')} ${line}` : `  ${line}`);
    }
    if (shown.length < all.length) lines.push(`  and ${all.length - shown.length} more`);
    return lines;
  }

  #title(rows: readonly Row[]): string {
    const counts: Partial<Record<Outcome, number>> = {};
    let last: ProbeSample | undefined;
    for (const { sample } of rows) {
      counts[sample.outcome] = (counts[sample.outcome] ?? 0) + 1;
      if (last === undefined || sample.time > last.time) last = sample;
    }
    return last === undefined ? '' : `${timeOf(last)}  round ${last.round}  ${formatCounts(counts)}`;
  }
}

function isFresh({ sample, change }: Row): boolean {
  return change?.sample === sample || (change !== undefined && +sample.time - +change.sample.time < markedMs);
}

/** The local time of a sample: `12:04:05`. */
export function timeOf({ time }: ProbeSample): string {
  return time.toTimeString().slice(0, 8);
}
