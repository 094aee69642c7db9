import { cpuGrowth, judge, type Verdict } from './bars.ts';
import { count, cpu, digits, duration, percent, rate, size, spread, table } from './format.ts';
import type { Plot } from './plot.ts';
import {
  compare,
  type Figure,
  type PagesSample,
  type PeerName,
  type Results,
  rateOf,
  restOf,
  valuesOf,
  type WorkResult,
} from './results.ts';
import { median, ratioOfPairs } from './statistics.ts';

/** The load average from which on a run is disturbed. */
const busyMachine = 1;

/** Writes docs/BENCHMARKS.md. */
export function formatReport(results: Results, plots: readonly Plot[]): string {
  return `# Benchmarks

<!-- Written by \`npm run bench\`. The text is in bench/report.ts. -->

How fast smallservd is next to a C program, the servers of a Go textbook, plain Node and xinetd, on one core. Every
guard is on, with limits that the load does not reach ([bench/smallservd.yaml](../bench/smallservd.yaml)).

${disturbance(results)}${plots.map(picture).join('\n')}
## Promises

${promises(results)}
## Rates, CPU time and latency

${reading(results)}
${results.works.map((work) => workSection(results, work)).join('\n')}
## Memory

${memory(results)}
## Start

${starts(results)}
## Reload

${reloads(results)}
## Open pages

${pages(results)}
## The machine

${machine(results)}
## The method

${method(results)}`;
}

/** Says where the figures mean little. */
function disturbance({ machine: { loadAverage } }: Results): string {
  if (loadAverage < busyMachine) return '';
  return `**Other work disturbed this run** (load average ${loadAverage}). Only CPU times come near those of a quiet machine.

`;
}

/** The promises as plain text, for the terminal. */
export function formatVerdicts(results: Results): string {
  return judge(results)
    .filter(({ holds }) => holds !== undefined)
    .map((verdict) => `${(verdict.holds ? 'holds' : 'falls short').padEnd(12)} ${sentence(verdict)}\n`)
    .join('');
}

function sentence({ text, isAtLeast, bar, measured }: Verdict): string {
  const values = measured.map(({ nodeMajor, value }) => `${number(value)} on Node ${nodeMajor}`);
  return `${text}: ${values.join(', ')} (at ${isAtLeast ? 'least' : 'most'} ${bar})`;
}

function number(value: number | undefined): string {
  return value === undefined ? '–' : value.toFixed(2);
}

function picture({ name, alt }: Plot): string {
  return `<picture>
  <source media="(prefers-color-scheme: dark)" srcset="${name}-dark.svg">
  <img alt="${alt}" src="${name}-light.svg">
</picture>
`;
}

function promises(results: Results): string {
  const verdicts = judge(results);
  const majors = verdicts[0]?.measured.map(({ nodeMajor }) => nodeMajor) ?? [];
  const rows = verdicts.map(({ text, isAtLeast, bar, measured, holds }) => [
    text,
    `${isAtLeast ? '≥' : '≤'} ${bar}`,
    ...measured.map(({ value }) => number(value)),
    holds === undefined ? 'not measured' : holds ? 'holds' : '**falls short**',
  ]);
  const [newest, ...older] = majors;
  const tolerance = older.length > 0 ? ` Node ${newest} has to meet each, Node ${older.join(', ')} within 10 %.` : '';
  return `Each is a median over ${results.works[0] === undefined ? 0 : roundsOf(results)} pairs of one run.${tolerance}

${table(['promise', 'bar', ...majors.map((major) => `Node ${major}`), 'verdict'], rows)}${causesOf(verdicts)}`;
}

/** Why promises fall short, each cause once. */
function causesOf(verdicts: readonly Verdict[]): string {
  const causes = new Map<string, string[]>();
  for (const { text, holds, cause } of verdicts) {
    if (holds !== false || cause === undefined) continue;
    const works = causes.get(cause) ?? [];
    const work = text.replace(/:.*/, '');
    causes.set(cause, works.includes(work) ? works : [...works, work]);
  }
  const lines = [...causes].map(([cause, works]) => `- ${works.join(', ')}:\n  ${cause.replaceAll('\n', '\n  ')}\n`);
  return lines.length === 0 ? '' : `\nWhy some fall short:\n\n${lines.join('')}`;
}

function roundsOf(results: Results): number {
  const lengths = results.works.flatMap(({ samples }) => Object.values(samples).map(({ length }) => length));
  return Math.max(0, ...lengths);
}

function reading({ peers }: Results): string {
  const [reference] = peers;
  return `- **rate**: finished operations, or bytes, a second.
- **CPU**: CPU time of all processes of the server, in µs for each operation, or for each MiB.
- **busy**: the share of its core that the server used. Below 95 % the load generator was the slower side, and CPU tells
  more than the rate.
- **p50, p99**: time from request to answer, as the client sees it. All clients ask again as soon as they are answered.
- **rate ratio, CPU ratio**: ${reference?.label ?? 'smallservd'} divided by this server, as the median of the pairs, and
  their range. A rate ratio above 1 and a CPU ratio below 1 are in favor of smallservd.
`;
}

function workSection(results: Results, work: WorkResult): string {
  const [reference] = results.peers;
  const peers = results.peers.filter(({ id }) => (work.samples[id] ?? []).some((sample) => sample !== undefined));
  const of = (peer: PeerName, figure: Figure): number =>
    median(valuesOf(work, peer.id, figure).filter((value) => value !== undefined));
  const hasLatency = work.unit === 'operations';
  const rows = peers.map((peer) => [
    peer.label,
    rate(of(peer, 'rate'), work.unit),
    cpu(of(peer, 'cpu'), work.unit),
    percent(of(peer, 'busy')),
    ...(hasLatency ? [duration(of(peer, 'p50')), duration(of(peer, 'p99'))] : []),
    ...ratios(work, reference, peer),
  ]);
  const header = [
    'server',
    'rate',
    work.unit === 'bytes' ? 'CPU µs/MiB' : 'CPU µs',
    'busy',
    ...(hasLatency ? ['p50', 'p99'] : []),
    'rate ratio',
    'CPU ratio',
  ];
  return `### ${work.title}

${table(header, rows)}${lossLine(peers, work)}`;
}

function ratios(work: WorkResult, reference: PeerName | undefined, peer: PeerName): readonly string[] {
  if (reference === undefined || peer.id === reference.id) return ['', ''];
  return [spread(compare(work, reference.id, peer.id, 'rate')), spread(compare(work, reference.id, peer.id, 'cpu'))];
}

/** Says which server lost datagrams or had errors. */
function lossLine(peers: readonly PeerName[], work: WorkResult): string {
  const lines = peers.flatMap(({ id, label }) => {
    const samples = (work.samples[id] ?? []).filter((sample) => sample !== undefined);
    const lost = samples.reduce((sum, sample) => sum + sample.lost, 0);
    const errors = samples.reduce((sum, sample) => sum + sample.errors, 0);
    if (lost + errors === 0) return [];
    return [`${label}: ${count(lost)} datagrams lost, ${count(errors)} errors.`];
  });
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

function memory(results: Results): string {
  const rows = results.peers.flatMap(({ id, label }) => {
    const result = results.memory[id];
    if (result === undefined || result.bytesPerClient.length === 0) return [];
    return [[label, size(median(result.emptyBytes)), count(result.clients), size(median(result.bytesPerClient))]];
  });
  if (rows.length === 0) return 'Not measured.\n';
  return `Proportional set size (PSS) of all processes of a fresh server that has served 64 clients, then the growth with this
many clients more, which were answered once and are idle. Memory of the kernel is not included. xinetd has a process
for each client, and is left out.

${table(['server', 'without clients', 'idle clients', 'per idle client'], rows)}${growth(results)}`;
}

function growth(results: Results): string {
  const values = results.peers.flatMap(({ id, label }) => {
    const value = cpuGrowth(results, id);
    return value === undefined ? [] : [`${label} ${value.toFixed(2)}`];
  });
  if (values.length === 0) return '';
  return `\nThe most CPU time per TCP echo divided by the least, from 10 to 10,000 clients: ${values.join(', ')}.\n`;
}

function starts(results: Results): string {
  const rows = results.peers.flatMap(({ id, label }) => {
    const result = results.starts[id];
    if (result === undefined || result.ms.length === 0) return [];
    return [[label, `${digits(median(result.ms))} ms`, `${digits(median(result.cpuMs))} ms`]];
  });
  if (rows.length === 0) return 'Not measured.\n';
  return `From the start of the program on one core to its first daytime answer, and the CPU time until all services answer.
The bench asks every few milliseconds. Go is five programs, and smallservd a supervisor and a worker.

${table(['server', 'first answer', 'CPU'], rows)}`;
}

function reloads(results: Results): string {
  const rows = results.peers.flatMap(({ id, label }) => {
    const result = results.reloads[id];
    if (result === undefined || result.ms.length === 0) return [];
    const wait = `${digits(median(result.longestWaitMs))} ms`;
    return [[label, `${digits(median(result.ms))} ms`, count(result.connections), count(result.errors), wait]];
  });
  if (rows.length === 0) return 'Not measured.\n';
  return `SIGHUP while 64 daytime clients come and go as fast as they can, on the same core. The next worker starts while the
first one serves. The longest wait is that of a client.

${table(['server', 'reload', 'connections meanwhile', 'failed', 'longest wait'], rows)}`;
}

function pages(results: Results): string {
  const rows = results.peers.flatMap(({ id, label }) => {
    const result = results.pages[id];
    if (result === undefined || result.pages.length === 0) return [];
    const shares = ([result.without, result.collecting, result.pages] as const).map(
      (samples) => `${(median(restOf(samples)) * 100).toFixed(2)} %`,
    );
    return [[label, ...shares, rates(result.collecting, result.without), rates(result.pages, result.collecting)]];
  });
  if (rows.length === 0) return 'Not measured.\n';
  return `TCP echo with 64 clients, all processes of the server on the same core: the share of it that those use which serve no
clients (the supervisor, and the process of the admin endpoint), without the endpoint, with it, which keeps the history
of the page, and with ten pages open. The rates of echo, pair by pair, vary by more than that from one second to the
next.

${table(['server', 'without', 'history', 'ten pages', 'rate with history / without', 'rate with ten pages / none'], rows)}`;
}

/** Pair by pair. */
function rates(ours: readonly PagesSample[], theirs: readonly PagesSample[]): string {
  return spread(ratioOfPairs(rateOf(ours), rateOf(theirs)));
}

function machine({ machine: about, date, command, minutes, missing, remarks }: Results): string {
  const lines = [
    `${about.processor}, ${about.processors} processors, ${about.memoryGiB} GiB of memory`,
    about.shareCore
      ? 'the servers and the load ran on two threads of one core'
      : 'the servers ran on one core, the load on another',
    `${about.system}, Linux ${about.kernel}`,
    `load average at the start: ${about.loadAverage}`,
    ...about.versions,
    ...missing,
    ...remarks,
  ];
  return `${date}, \`${command}\`, ${minutes.toFixed(1)} minutes.

${lines.map((line) => `- ${line}\n`).join('')}`;
}

function method({ roundSeconds }: Results): string {
  return `\`npm run bench\` takes up to ten minutes, and \`npm run bench -- --quick\` one, with a smaller selection. Other
work on the machine disturbs both. It needs Linux, two processors, a C compiler and \`ulimit -Hn\` of 11,000. Peers that
are missing are left out. \`npm run bench -- --help\` lists the options.

- Server and load are bound to one processor each. All servers of a comparison are running before it begins.
- The load generator ([bench/load/load.c](../bench/load/load.c)) is an epoll loop in C. Every client sends its next
  request when it has the answer (closed loop). Every byte is checked: echoes against a message with a counter, daytime
  for a line with this year, time against the clock, chargen against the pattern of RFC 864. A datagram without an
  answer for half a second counts as lost, and is sent again.
- In each round every server has the load for ${roundSeconds} s, one after another, each round in another order. A ratio
  is that of two servers in the same round.
- CPU time is read from /proc before and after, for all processes of a server. Latencies go into buckets of 1.6 %.
- **C** ([bench/peers/epoll.c](../bench/peers/epoll.c)) is one process with a plain epoll loop, and buffers of 64 KiB as
  smallservd has them. **Go** ([bench/peers/go](../bench/peers/go)) are the programs of "Network programming with Go": a
  goroutine for each client and a buffer of 512 bytes. **Bare Node** ([bench/peers/bare.js](../bench/peers/bare.js)) is
  the shortest program with \`net\` and \`dgram\`. **xinetd** serves its internal services. It is left out where
  it would need a process for each of many clients, of UDP, since it throws away the datagrams behind one that it
  answers, and of chargen, which has 94 characters there.
`;
}
