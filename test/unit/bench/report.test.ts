import { expect, test } from 'vitest';
import { formatReport, formatVerdicts } from '../../../bench/report.ts';
import type { PagesSample } from '../../../bench/results.ts';
import { results, sample, work } from './fixtures.ts';

const samples = {
  'smallservd-26': [sample(90), sample(80), sample(100)],
  'smallservd-20': [sample(80), undefined, sample(80)],
  c: [sample(100), sample(100), { ...sample(100), lost: 7 }],
};
const measured = results([work('tcp-echo-64', 64, samples)]);
const report = formatReport(measured, [{ name: 'bench-rates', alt: 'rates' }]);

test('a work has a row for each peer, with ratios to the first', () => {
  expect(report).toContain('### the work tcp-echo-64\n');
  expect(report).toContain('| smallservd, Node 26 | 90/s | 5,556 | 50 % | 10.0 µs | 30.0 µs |  |  |\n');
  expect(report).toContain('| C, epoll | 100/s | 5,000 | 50 % | 10.0 µs | 30.0 µs | 0.90 (0.80–1.00) | ');
  expect(report).toContain('\nC, epoll: 7 datagrams lost, 0 errors.\n');
});

test('the promises show each Node and the verdict', () => {
  expect(report).toContain('| promise | bar | Node 26 | Node 20 | verdict |\n');
  expect(report).toContain('64 clients: rate / that of C | ≥ 0.85 | 0.90 | 0.80 | holds |\n');
  expect(report).toContain('memory of an idle client, in KiB | ≤ 1.5 | – | – | not measured |\n');
});

test('a known cause is told where a promise falls short', () => {
  const slow = { 'smallservd-26': [sample(50)], c: [sample(100)] };
  expect(formatReport(results([work('tcp-echo-64', 64, slow)]), [])).toContain(
    '\n- TCP echo, 64 bytes, 64 clients:\n  smallservd and C ',
  );
  expect(report).not.toContain('Why some fall short');
});

test('a cause tells how C itself compares', () => {
  const close = { 'smallservd-26': [sample(90)], c: [sample(110)], go: [sample(100)] };
  const text = formatReport(results([work('tcp-echo-64', 64, close)]), []);
  expect(text).toContain('\n  C itself is at 1.10 in this run.\n');
});

/** Two seconds of TCP echo. */
function rest(operations: number, restCpuSeconds: number): PagesSample {
  return { operations, seconds: 2, restCpuSeconds };
}

test('open pages may cost one percent, however much the rate varies', () => {
  const pages = {
    without: [rest(1000, 0.01), rest(2000, 0.02)],
    collecting: [rest(900, 0.02), rest(1000, 0.03)],
    pages: [rest(900, 0.06), rest(1000, 0.05)],
  };
  const withPages = { ...results([]), pages: { 'smallservd-26': pages } };
  const row = '| smallservd, Node 26 | 0.75 % | 1.25 % | 2.75 % | 0.70 (0.50–0.90) | 1.00 (1.00–1.00) |';
  expect(formatReport(withPages, [])).toContain(row);
  const verdicts = formatVerdicts(withPages);
  expect(verdicts).toMatch(/^holds {8}the history of the page: percent of the processor, .*: 0\.50 on Node 26/m);
  expect(verdicts).toMatch(/^falls short {2}ten open pages: percent of the processor, .*: 1\.50 on Node 26/m);
});

test('the terminal gets only what was measured', () => {
  const text = formatVerdicts(measured);
  expect(text).toContain(
    'holds        TCP echo, 64 bytes, 64 clients: rate / that of C: 0.90 on Node 26, 0.80 on Node 20',
  );
  expect(text).not.toContain('memory');
});

test('the machine, the command and what is missing are there', () => {
  for (const text of [
    'a processor, 2 processors, 24 GiB',
    '`npm run bench`, 9.5 minutes',
    '- no Go: apt install golang-go',
  ])
    expect(report).toContain(text);
});

test('a busy machine is told at the top', () => {
  const busy = { ...measured, machine: { ...measured.machine, loadAverage: 7.5 } };
  expect(formatReport(busy, [])).toContain('\n**Other work disturbed this run** (load average 7.5).');
  expect(report).not.toContain('disturbed this run');
});

test('a plot has a light and a dark file', () => {
  expect(report).toContain('srcset="bench-rates-dark.svg"');
  expect(report).toContain('<img alt="rates" src="bench-rates-light.svg">');
});
