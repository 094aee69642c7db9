import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Family } from './peers.ts';
import { compare, type PeerName, type Results, valuesOf, resultOf } from './results.ts';
import { median } from './statistics.ts';

use([BarChart, LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer]);

/** A plot in two files, NAME-light.svg and NAME-dark.svg. */
export interface Plot {
  readonly name: string;
  readonly alt: string;
}

interface Theme {
  readonly text: string;
  readonly line: string;
  /** Of text on a bar. */
  readonly inside: string;
  readonly colors: Readonly<Record<Family, string>>;
}

/** Both on a transparent background. */
const themes: Readonly<Record<'light' | 'dark', Theme>> = {
  light: {
    text: '#1f2328',
    line: '#d1d9e0',
    inside: '#ffffff',
    colors: { smallservd: '#0969da', c: '#59636e', go: '#c2410c', node: '#2f7d32', xinetd: '#8250df' },
  },
  dark: {
    text: '#e6edf3',
    line: '#3d444d',
    inside: '#0d1117',
    colors: { smallservd: '#58a6ff', c: '#9198a1', go: '#f0883e', node: '#56b35c', xinetd: '#bc8cff' },
  },
};

const width = 860;
const font = 'system-ui, sans-serif';

/** Works of the first plot, with short names. */
const ratedWorks: Readonly<Record<string, string>> = {
  'udp-echo-64': 'UDP echo\n64 B',
  'tcp-echo-64': 'TCP echo\n64 B',
  'tcp-echo-1000': 'TCP echo\n1,000 clients',
  'bulk-echo': 'TCP echo\n64 KiB',
  daytime: 'daytime\nconnections',
  chargen: 'chargen',
};

/** Draws the results into a directory. Returns the plots that there are. */
export function writePlots(results: Results, directory: string): readonly Plot[] {
  const drawn: Plot[] = [];
  for (const { plot, height, option } of [ratesPlot(results), clientsPlot(results)]) {
    if (option === undefined) continue;
    for (const [name, theme] of Object.entries(themes))
      writeFileSync(join(directory, `${plot.name}-${name}.svg`), `${draw(option(theme), height)}\n`);
    drawn.push(plot);
  }
  return drawn;
}

interface Drawing {
  readonly plot: Plot;
  readonly height: number;
  /** Undefined if the results have nothing to draw. */
  readonly option: ((theme: Theme) => EChartsCoreOption) | undefined;
}

function draw(option: EChartsCoreOption, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption(option);
  const svg = chart.renderToSVGString({ useViewBox: true });
  chart.dispose();
  return svg;
}

/** One peer of each family: that with the newest Node. */
function shownPeers(results: Results): readonly PeerName[] {
  const single = results.peers.filter(({ workers }) => workers === undefined || workers === 1);
  return single.filter(({ family }, index) => single.findIndex((each) => each.family === family) === index);
}

function ratesPlot(results: Results): Drawing {
  const plot = {
    name: 'bench-rates',
    alt: 'Rates of smallservd, Go, bare Node and xinetd relative to a C epoll loop, on one core',
  };
  const works = Object.keys(ratedWorks).flatMap((name) => resultOf(results, name) ?? []);
  const peers = shownPeers(results).filter(({ family }) => family !== 'c');
  const values = peers.map(({ id }) => works.map((work) => compare(work, id, 'c', 'rate')?.median));
  if (!values.flat().some((value) => value !== undefined)) return { plot, height: 0, option: undefined };
  const option = (theme: Theme): EChartsCoreOption => ({
    ...common(theme, 'Rate relative to a C epoll loop, on one core (higher is better)'),
    xAxis: { type: 'category', data: works.map(({ name }) => ratedWorks[name]), ...axis(theme) },
    yAxis: { type: 'value', ...axis(theme), splitLine: { lineStyle: { color: theme.line } } },
    series: peers.map(({ family, label }, index) => ({
      type: 'bar',
      silent: true,
      name: label,
      data: values[index]?.map((value) => bar(value, theme)),
      itemStyle: { color: theme.colors[family] },
      ...(index === 0 ? { markLine: reference(theme) } : {}),
    })),
  });
  return { plot, height: 380, option };
}

/** A bar with its value in it, or above it where it is too short. */
function bar(value: number | undefined, theme: Theme): object | null {
  if (value === undefined) return null;
  const isShort = value < 0.2;
  const position = isShort ? 'top' : 'insideTop';
  const color = isShort ? theme.text : theme.inside;
  return { value, label: { show: true, position, color, fontSize: 12, formatter: value.toFixed(2) } };
}

function reference(theme: Theme): object {
  return {
    silent: true,
    symbol: 'none',
    data: [{ yAxis: 1 }],
    lineStyle: { color: theme.colors.c, width: 2, type: 'dashed' },
    label: { formatter: 'C', color: theme.text, fontSize: 13 },
  };
}

function clientsPlot(results: Results): Drawing {
  const plot = { name: 'bench-clients', alt: 'CPU time per TCP echo with 1 to 10,000 clients' };
  const works = results.works.filter(({ name, clients }) => name === `tcp-echo-${clients}`);
  const peers = shownPeers(results).filter(({ family }) => family !== 'xinetd');
  if (works.length < 2) return { plot, height: 0, option: undefined };
  const option = (theme: Theme): EChartsCoreOption => ({
    ...common(theme, 'CPU µs per TCP echo of 64 bytes, by number of clients (lower is better)'),
    xAxis: {
      type: 'log',
      min: 1,
      ...axis(theme),
      axisLabel: { color: theme.text, fontSize: 13, formatter: thousands },
    },
    yAxis: { type: 'value', min: 0, ...axis(theme), splitLine: { lineStyle: { color: theme.line } } },
    series: peers.map(({ id, family, label }) => ({
      type: 'line',
      silent: true,
      name: label,
      symbolSize: 7,
      lineStyle: { width: family === 'smallservd' ? 3 : 2 },
      itemStyle: { color: theme.colors[family] },
      data: works.flatMap((work) => {
        const value = median(valuesOf(work, id, 'cpu').filter((each) => each !== undefined));
        return Number.isNaN(value) ? [] : [[work.clients, value * 1e6]];
      }),
    })),
  });
  return { plot, height: 340, option };
}

function thousands(value: number): string {
  return value.toLocaleString('en');
}

function common(theme: Theme, title: string): EChartsCoreOption {
  return {
    animation: false,
    textStyle: { fontFamily: font, color: theme.text },
    title: { text: title, left: 'center', textStyle: { color: theme.text, fontSize: 15, fontWeight: 600 } },
    legend: { top: 30, itemGap: 36, textStyle: { color: theme.text, fontSize: 13 } },
    grid: { left: 20, right: 40, top: 70, bottom: 10 },
  };
}

function axis(theme: Theme): object {
  return {
    axisLine: { lineStyle: { color: theme.line } },
    axisTick: { show: false },
    axisLabel: { color: theme.text, fontSize: 13 },
    splitLine: { show: false },
  };
}
