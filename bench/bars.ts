import { compare, type Figure, type PagesResult, type Results, restOf, resultOf, valuesOf } from './results.ts';
import { median } from './statistics.ts';

/** A promise about smallservd, and what was measured. */
export interface Verdict {
  readonly text: string;
  readonly isAtLeast: boolean;
  readonly bar: number;
  /** By major version of Node, the newest first. */
  readonly measured: readonly { readonly nodeMajor: number; readonly value: number | undefined }[];
  /** Undefined if nothing was measured. */
  readonly holds: boolean | undefined;
  /** Why it may fall short, if that is known. */
  readonly cause: string | undefined;
}

interface Bar {
  readonly text: string;
  readonly isAtLeast: boolean;
  readonly bar: number;
  readonly value: (results: Results, nodeMajor: number) => number | undefined;
  readonly cause?: string;
  /** The same of C, which cannot be expected to be surpassed. */
  readonly valueOfC?: Bar['value'];
}

/** As strace(1) and perf(1) show them. */
const causes = {
  echo: `smallservd and C make the same system calls, one \`recv\` and one \`send\` for an echo. Nearly nine tenths of the
CPU time of an echo is spent in the kernel. Most of the rest is the way from JavaScript into libc and back.`,
  go: `The kernel's part of an echo is much the same for all. Go only makes one more call, a \`read\` that finds nothing.
The faster the system calls of a machine are, the less that matters.`,
  bareNode: `Most of an echo is spent in the kernel.`,
  oneClient: `An echo costs four system calls, as libuv waits for our set of sockets (\`epoll_pwait\`), and we then ask
that set (\`epoll_wait\`). With more clients at a time, the two are shared.`,
  growth: `Sockets and their buffers no longer fit the caches of the processor.`,
  workers: `Two workers on one core take turns. Only the clients of the one that runs are answered, about 20 for each time
it wakes up, where a single worker answers about 60. They also change places 15 times as often for each echo.`,
  slowLoad: `The load generator is the slower side here: the server is not busy all the time, and the CPU time of a
connection tells more.`,
  close: `C answers and closes at once, with three system calls. smallservd makes five or more: it closes its own side,
and the socket only when the client has closed, too. So an answer is never cut off by a reset.`,
} as const;

/** Between them the CPU time of an echo has to be flat. */
const fewestClients = 10;
const mostClients = 10_000;

/** How much the older Node may miss a bar by. */
const olderNodeTolerance = 0.1;

const peerNames = { c: 'C', go: 'Go', node: 'bare Node' } as const;

const bars: readonly Bar[] = [
  ratio('UDP echo, 64 bytes: rate', 'udp-echo-64', 'rate', 'c', 0.95),
  ratio('UDP echo, 64 bytes: rate', 'udp-echo-64', 'rate', 'go', 1.1),
  ratio('TCP echo, 64 bytes, 64 clients: rate', 'tcp-echo-64', 'rate', 'c', 0.85, causes.echo),
  ratio('TCP echo, 64 bytes, 64 clients: rate', 'tcp-echo-64', 'rate', 'go', 1.25, causes.go),
  ratio('TCP echo, 64 bytes, 64 clients: rate', 'tcp-echo-64', 'rate', 'node', 1.6, causes.bareNode),
  ratio('TCP echo, 64 bytes, one client: CPU per echo', 'tcp-echo-1', 'cpu', 'node', 1, causes.oneClient),
  ratio('daytime: connections a second', 'daytime', 'rate', 'c', 0.95, causes.close),
  ratio('daytime: connections a second', 'daytime', 'rate', 'go', 1.1, causes.slowLoad),
  ratio('daytime: CPU per connection', 'daytime', 'cpu', 'go', 0.95, causes.close),
  ratio('bulk echo: bytes a second', 'bulk-echo', 'rate', 'c', 1),
  ratio('chargen: bytes a second', 'chargen', 'rate', 'c', 1),
  ratio('TCP echo, 64 clients: p99', 'tcp-echo-64', 'p99', 'c', 1.5),
  ratio('UDP echo, 64 clients: p99', 'udp-echo-64', 'p99', 'c', 1.5),
  {
    text: 'TCP echo: most CPU per echo / least, with 10 to 10,000 clients',
    isAtLeast: false,
    bar: 1.15,
    value: (results, nodeMajor) => cpuGrowth(results, `smallservd-${nodeMajor}`),
    cause: causes.growth,
    valueOfC: (results) => cpuGrowth(results, 'c'),
  },
  {
    text: 'memory of an idle client, in KiB',
    isAtLeast: false,
    bar: 1.5,
    value(results, nodeMajor) {
      const perClient = results.memory[`smallservd-${nodeMajor}`]?.bytesPerClient ?? [];
      return perClient.length === 0 ? undefined : median(perClient) / 1024;
    },
  },
  {
    text: 'TCP echo, 64 clients: rate of two workers / one, on one core',
    isAtLeast: true,
    bar: 0.9,
    cause: causes.workers,
    value(results, nodeMajor) {
      const work = resultOf(results, 'tcp-echo-64');
      return work && compare(work, `smallservd-${nodeMajor}-workers-2`, `smallservd-${nodeMajor}`, 'rate')?.median;
    },
  },
  ofPages('the history of the page: percent of the processor, under TCP echo', 'collecting', 'without'),
  ofPages('ten open pages: percent of the processor, under TCP echo', 'pages', 'collecting'),
];

function ratio(
  text: string,
  workName: string,
  figure: Figure,
  against: keyof typeof peerNames,
  bar: number,
  cause?: string,
): Bar {
  const ratioOf = (ours: string, results: Results, nodeMajor: number): number | undefined => {
    const work = resultOf(results, workName);
    return work && compare(work, ours, against === 'node' ? `node-${nodeMajor}` : against, figure)?.median;
  };
  return {
    text: `${text} / that of ${peerNames[against]}`,
    isAtLeast: figure === 'rate',
    bar,
    value: (results, nodeMajor) => ratioOf(`smallservd-${nodeMajor}`, results, nodeMajor),
    ...(against === 'c' ? {} : { valueOfC: (results, nodeMajor) => ratioOf('c', results, nodeMajor) }),
    ...(cause === undefined ? {} : { cause }),
  };
}

/** It may cost one percent more than without. */
function ofPages(text: string, ours: keyof PagesResult, theirs: keyof PagesResult): Bar {
  return {
    text,
    isAtLeast: false,
    bar: 1,
    value(results, nodeMajor) {
      const result = results.pages[`smallservd-${nodeMajor}`];
      if (result === undefined || result.pages.length === 0) return undefined;
      return 100 * (median(restOf(result[ours])) - median(restOf(result[theirs])));
    },
  };
}

/** The most CPU per echo divided by the least, with 10 to 10,000 clients. Undefined if one of these is missing. */
export function cpuGrowth(results: Results, peer: string): number | undefined {
  const cpuByClients = new Map<number, number>();
  for (const work of results.works) {
    if (work.name !== `tcp-echo-${work.clients}` || work.clients < fewestClients) continue;
    const value = median(valuesOf(work, peer, 'cpu').filter((each) => each !== undefined));
    if (!Number.isNaN(value)) cpuByClients.set(work.clients, value);
  }
  if (!cpuByClients.has(fewestClients) || !cpuByClients.has(mostClients)) return undefined;
  return Math.max(...cpuByClients.values()) / Math.min(...cpuByClients.values());
}

/** Holds the results against every bar. The newest Node has to meet it, an older one within ten percent. */
export function judge(results: Results): readonly Verdict[] {
  const majors = results.peers.flatMap(({ family, workers, nodeMajor }) =>
    family === 'smallservd' && workers === 1 && nodeMajor !== undefined ? [nodeMajor] : [],
  );
  return bars.map(({ text, isAtLeast, bar, value, cause, valueOfC }) => {
    const measured = majors.map((nodeMajor) => ({ nodeMajor, value: value(results, nodeMajor) }));
    const held = measured.flatMap(({ value: each }, index) => {
      if (each === undefined) return [];
      const tolerance = index === 0 ? 0 : olderNodeTolerance;
      return [isAtLeast ? each >= bar * (1 - tolerance) : each <= bar * (1 + tolerance)];
    });
    const holds = held.length === 0 ? undefined : held.every(Boolean);
    const ofC = majors[0] === undefined ? undefined : valueOfC?.(results, majors[0]);
    const comparison = ofC === undefined ? '' : `\nC itself is at ${ofC.toFixed(2)} in this run.`;
    return { text, isAtLeast, bar, measured, holds, cause: cause && cause + comparison };
  });
}
