import type { FlowSummary } from '../requests/flows.ts';
import type { LoadFlow } from '../load.ts';
import { formatLatency } from './histogram.ts';
import { formatMilliseconds } from './round-trips.ts';
import type { Terminal } from './terminal.ts';

/** A row for each source port, at most 60 columns wide. Rows with losses are red on a terminal. */
export function formatFlows(flows: readonly FlowSummary[], terminal: Pick<Terminal, 'paint'>): string {
  const head = [
    `${'port'.padStart(5)}${'sent'.padStart(8)}${'received'.padStart(10)}${'lost'.padStart(8)}  rtt min/avg/max`,
  ];
  const rows = flows.flatMap(({ sourcePort, sent, received, lost, times, problem }) => {
    const numbers = [
      String(sourcePort ?? '-').padStart(5),
      String(sent).padStart(8),
      String(received).padStart(10),
      String(lost).padStart(8),
    ];
    const rtt = times === undefined ? '' : `  ${formatMilliseconds([times.minMs, times.meanMs, times.maxMs])} ms`;
    const row = `${numbers.join('')}${rtt}`;
    const lines = problem === undefined ? [row] : [row, `  ${problem}`];
    return lost > 0 || problem !== undefined ? lines.map((line) => terminal.paint('red', line)) : lines;
  });
  return `${[...head, ...rows].join('\n')}\n`;
}

/** The same for a load, with percentiles of the response times. */
export function formatLoadFlows(flows: readonly LoadFlow[], terminal: Pick<Terminal, 'paint'>): string {
  const rows = flows.map(({ sourcePort, answered, failed, response }) => {
    const times = response === undefined ? [] : [response.p50Ms, response.p99Ms, response.maxMs].map(formatLatency);
    const row = loadRow([String(sourcePort ?? '-'), String(answered), String(failed), ...times]);
    return failed > 0 ? terminal.paint('red', row) : row;
  });
  return `${[loadRow(['port', 'answered', 'errors', 'p50', 'p99', 'max']), ...rows].join('\n')}\n`;
}

function loadRow([port = '', ...others]: readonly string[]): string {
  return port.padStart(5) + others.map((each) => each.padStart(10)).join('');
}
