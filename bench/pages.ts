import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoadGenerator } from './load-generator.ts';
import type { Peer } from './peers.ts';
import type { PagesResult, PagesSample } from './results.ts';
import { orderOf } from './rounds.ts';
import { Server } from './server.ts';
import type { Setting } from './setting.ts';
import { workNamed } from './work.ts';

/** Pages that are open at the same time. */
const openPages = 10;

/** Until a page that was opened has all of the past. */
const settleMs = 1500;

/** Without the admin endpoint; with it, which keeps the history of the page; and with the pages open, too. */
const variants = ['without', 'collecting', 'pages'] as const;
type Variant = (typeof variants)[number];

/**
 * Measures TCP echo in each variant, one after another in each round. From one second to the next the rate differs by
 * more than a page can cost, so what counts is the CPU time of the processes that serve no clients. The worker does not
 * know whether anybody looks.
 */
export async function measurePages(setting: Setting, peer: Peer): Promise<PagesResult> {
  const { plan, load, serverPlace, directory } = setting;
  const work = workNamed('tcp-echo-64');
  const port = await freePort();
  const targets: { readonly server: Server; readonly generator: LoadGenerator }[] = [];
  const samples: Record<Variant, PagesSample[]> = { without: [], collecting: [], pages: [] };
  try {
    for (const each of [peer, withAdmin(peer, port)]) {
      const server = await Server.start(each, serverPlace, directory);
      targets.push({ server, generator: await LoadGenerator.start(load, server, work, plan.warmSeconds) });
    }
    for (let round = 0; round < plan.rounds && !setting.isOver(); round += 1) {
      for (const variant of orderOf(variants, round)) {
        const target = targets[variant === 'without' ? 0 : 1];
        if (target === undefined) continue;
        const pages =
          variant === 'pages' ? await Promise.all(Array.from({ length: openPages }, () => Page.open(port))) : [];
        const before = target.server.cpuSecondsByProcess;
        const { operations, seconds } = await target.generator.measure(plan.pageSeconds);
        const restCpuSeconds = withoutBusiest(before, target.server.cpuSecondsByProcess);
        samples[variant].push({ operations, seconds, restCpuSeconds });
        for (const page of pages) page.close();
      }
    }
  } finally {
    for (const { generator } of targets) await generator.stop();
    for (const { server } of targets) await server.stop();
  }
  return samples;
}

/** CPU time that all processes but the busiest, the worker, used in between. */
function withoutBusiest(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  const used = [...after].map(([pid, seconds]) => seconds - (before.get(pid) ?? 0));
  return used.reduce((sum, seconds) => sum + seconds, 0) - Math.max(...used);
}

function withAdmin(peer: Peer, port: number): Peer {
  return {
    ...peer,
    commands: (ports, directory) =>
      peer.commands(ports, directory).map((command) => [...command, '--set', `admin.listen=tcp://127.0.0.1:${port}`]),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** What a browser that shows the page keeps open. */
class Page {
  readonly #request: ClientRequest;
  #bytes = 0;

  private constructor(request: ClientRequest, stream: IncomingMessage) {
    this.#request = request;
    stream.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
    });
    // Closing it is an error of the stream.
    stream.on('error', () => {});
  }

  /** Resolves when the page has the past. From then on it gets what changes. */
  static async open(port: number): Promise<Page> {
    const request = get({ host: '127.0.0.1', port, path: '/events', agent: false });
    const [stream] = (await once(request, 'response')) as [IncomingMessage];
    if (stream.statusCode !== 200) throw new Error(`bench: /events answers with ${stream.statusCode}`);
    const page = new Page(request, stream);
    await sleep(settleMs);
    page.#bytes = 0;
    return page;
  }

  /** @throws Error if nothing has come since it was opened. */
  close(): void {
    this.#request.destroy();
    if (this.#bytes === 0) throw new Error('bench: an open page got no events');
  }
}
