import type uPlot from 'uplot';
import { formatBytes, formatCount, formatMs, formatNumber, formatShare, formatTime } from './format.ts';
import { type PlotData, type Summary, summarize } from './plot-data.ts';
import { element, setText, Table } from './table.ts';

// A separate script, loaded before.
const { uPlot: Plot } = globalThis as unknown as { readonly uPlot: typeof uPlot };

const heightPx = 140;
/** Of the steps of an axis in bytes. */
const powersOfTwo = Array.from({ length: 50 }, (_, exponent) => 2 ** exponent);
const colors = 8;

/** What a plot shows: series by their names, or those that begin with a word; `label` is what is left of the name. */
interface Definition {
  readonly title: string;
  readonly format: (value: number) => string;
  /** Labels by the names of the series. */
  readonly series: (data: PlotData, workers: readonly string[]) => ReadonlyMap<string, string>;
}

const definitions: readonly Definition[] = [
  {
    title: 'Requests a second',
    format: formatNumber,
    series: fixed({ accepted: 'connections', datagrams: 'datagrams' }),
  },
  { title: 'Clients', format: formatCount, series: fixed({ clients: 'connected' }) },
  {
    title: 'Bytes a second',
    format: formatBytes,
    series: fixed({ bytesIn: 'received', bytesOut: 'sent' }),
  },
  { title: 'Refused and dropped a second', format: formatNumber, series: turnedAway },
  { title: 'Event loop lag', format: formatMs, series: ofProcesses('lag') },
  { title: 'CPU (share of one processor)', format: formatShare, series: ofProcesses('cpu') },
  { title: 'Resident memory', format: formatBytes, series: ofProcesses('memory') },
];

function fixed(labels: Readonly<Record<string, string>>): Definition['series'] {
  const all = new Map(Object.entries(labels));
  return () => all;
}

/** Of all reasons, those that there were. */
function turnedAway(data: PlotData): ReadonlyMap<string, string> {
  const names = data.names.filter((name) => /^(refused|dropped) /.test(name));
  return new Map(names.filter((name) => summarize(data.valuesOf(name)).max > 0).map((name) => [name, name]));
}

function ofProcesses(kind: string): Definition['series'] {
  const start = `${kind} `;
  return (data, workers) => {
    const names = data.names.filter((name) => name.startsWith(start));
    return new Map(names.map((name) => [name, labelOf(name.slice(start.length), workers)]));
  };
}

/** The name of the worker that has the place now. A reload may have left it vacant. */
function labelOf(process: string, workers: readonly string[]): string {
  const place = /^worker (\d+)$/.exec(process)?.[1];
  return place === undefined ? process : (workers[Number(place) - 1] ?? 'ended worker');
}

/** All plots, over one span of time. */
export class Plots {
  readonly #views: readonly PlotView[];

  constructor(root: HTMLElement, data: PlotData, span: string) {
    this.#views = definitions.map((definition) => new PlotView(definition, data, span));
    root.replaceChildren(...this.#views.map((view) => view.root));
    // The colors are read when a plot is made.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const view of this.#views) view.draw({ recreate: true });
    });
  }

  /** Shows other data. */
  show(data: PlotData, span: string): void {
    for (const view of this.#views) view.show(data, span);
  }

  /** Shows what is new. `workers`: their names, by place. `withLines`: not only in the tables. */
  draw(workers: readonly string[], withLines: boolean): void {
    for (const view of this.#views) {
      view.workers = workers;
      view.draw({ withLines });
    }
  }
}

/** A plot, and the same as a table: its current values, minima and maxima. */
class PlotView {
  readonly root: HTMLElement = element('section', 'plot');
  /** Names of the workers, by place. */
  workers: readonly string[] = [];
  readonly #definition: Definition;
  readonly #canvas: HTMLDivElement = element('div', 'canvas');
  readonly #caption: HTMLTableCaptionElement = element('caption', 'hidden');
  readonly #table: Table;
  #data: PlotData;
  #plot: uPlot | undefined;
  /** What each line shows now. */
  #rows: readonly (Summary & { readonly label: string })[] = [];
  /** The series of the plot, as one text. */
  #drawn = '';

  constructor(definition: Definition, data: PlotData, span: string) {
    this.#definition = definition;
    this.#data = data;
    this.#table = new Table(this.#caption, [['Series'], ['Now', 'number'], ['Min', 'number'], ['Max', 'number']]);
    const heading = element('h3', '', definition.title);
    this.#canvas.role = 'img';
    this.root.append(heading, this.#canvas, this.#table.root);
    this.show(data, span);
    new ResizeObserver(() => {
      this.#plot?.setSize({ width: this.#canvas.clientWidth, height: heightPx });
    }).observe(this.#canvas);
  }

  show(data: PlotData, span: string): void {
    this.#data = data;
    const { title } = this.#definition;
    setText(this.#caption, `${title}, last ${span}`);
    this.#canvas.ariaLabel = `Plot: ${title}, last ${span}. The table below has its values.`;
    this.draw();
  }

  /** `recreate`: even if the series are the same. `withLines: false`: no lines, unless it is another plot. */
  draw({ recreate = false, withLines = true } = {}): void {
    const series = this.#definition.series(this.#data, this.workers);
    const names = [...series.keys()];
    this.#rows = Array.from(series, ([name, label]) => ({ label, ...summarize(this.#data.valuesOf(name)) }));
    const isOther = recreate || this.#plot === undefined || this.#drawn !== names.join();
    if (isOther) {
      this.#plot?.destroy();
      this.#plot = this.#create(names.length);
      this.#drawn = names.join();
    }
    if (isOther || withLines) {
      const lines = names.map((name) => [...this.#data.valuesOf(name)]);
      this.#plot?.setData([[...this.#data.times], ...lines]);
    }
    this.#tabulate();
  }

  #create(lines: number): uPlot {
    const style = getComputedStyle(document.documentElement);
    const color = (name: string): string => style.getPropertyValue(name);
    const axis = { stroke: color('--quiet'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } };
    const { format } = this.#definition;
    const options: uPlot.Options = {
      width: this.#canvas.clientWidth,
      height: heightPx,
      legend: { show: false },
      cursor: { sync: { key: 'time' }, drag: { x: false, y: false } },
      scales: {
        x: { range: () => this.#timeRange },
        y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
      },
      axes: [
        { ...axis, size: 26, space: 60, values: (_plot, times) => times.map(formatTick) },
        {
          ...axis,
          size: 64,
          space: 32,
          values: (_plot, values) => values.map(format),
          ...(format === formatBytes && { incrs: powersOfTwo }),
        },
      ],
      series: [
        {},
        ...Array.from({ length: lines }, (_, index) => ({
          stroke: color(`--s${index % colors}`),
          width: 1.25,
          points: { show: false },
          ...(index >= colors && { dash: [4, 3] }),
        })),
      ],
      hooks: { setCursor: [() => this.#tabulate()] },
    };
    return new Plot(options, [[], ...Array.from({ length: lines }, () => [])], this.#canvas);
  }

  get #timeRange(): [number, number] {
    const end = this.#data.times.at(-1) ?? Date.now() / 1000;
    return [end - this.#data.spanS, end];
  }

  /** Under the cursor, as drawn, or now. The lines may be older than what is known. */
  #tabulate(): void {
    const { format } = this.#definition;
    const index = this.#plot?.cursor.idx ?? -1;
    const [times, ...lines] = this.#plot?.data ?? [[]];
    const time = times[index];
    this.#table.setHeading(1, time === undefined ? 'Now' : formatTime(time * 1000));
    const rows = this.#rows.map(({ label, now, min, max }, row) => {
      const shown = time === undefined ? now : (lines[row]?.[index] ?? Number.NaN);
      return [label, format(shown), format(min), format(max)];
    });
    this.#table.show(rows, swatch);
  }
}

function swatch(row: number): HTMLElement {
  return element('i', `swatch s${row % colors}`);
}

function formatTick(time: number): string {
  const date = new Date(time * 1000);
  const clock = date.toTimeString();
  return date.getSeconds() === 0 ? clock.slice(0, 5) : clock.slice(0, 8);
}
