import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { LoadGenerator, type Sample } from './load-generator.ts';
import type { Peer } from './peers.ts';
import type { WorkResult } from './results.ts';
import { orderOf } from './rounds.ts';
import { Server } from './server.ts';
import type { Setting } from './setting.ts';
import { workNamed } from './work.ts';

/** Pages that are open at the same time. */
const openPages = 10;

/** Without the admin endpoint; with it, which keeps the history of the page; and with the pages open, too. */
const variants = ['without', 'collecting', 'pages'] as const;
type Variant = (typeof variants)[number];

/** Measures TCP echo in each variant, one after another in each round. */
export async function measurePages(setting: Setting, peer: Peer): Promise<WorkResult> {
  const { plan, load, serverPlace, directory } = setting;
  const work = workNamed('tcp-echo-64');
  const port = await freePort();
  const servers: Server[] = [];
  const generators: LoadGenerator[] = [];
  const samples: Record<Variant, Sample[]> = { without: [], collecting: [], pages: [] };
  try {
    for (const each of [peer, withAdmin(peer, port)]) {
      const server = await Server.start(each, serverPlace, directory);
      servers.push(server);
      generators.push(await LoadGenerator.start(load, server, work, plan.warmSeconds));
    }
    for (let round = 0; round < plan.rounds && !setting.isOver(); round += 1) {
      for (const variant of orderOf(variants, round)) {
        const pages =
          variant === 'pages' ? await Promise.all(Array.from({ length: openPages }, () => Page.open(port))) : [];
        const sample = await generators[variant === 'without' ? 0 : 1]?.measure(plan.pageSeconds);
        if (sample !== undefined) samples[variant].push(sample);
        for (const page of pages) page.close();
      }
    }
  } finally {
    for (const generator of generators) await generator.stop();
    for (const server of servers) await server.stop();
  }
  const { name, title, unit, clients } = work;
  return { name, title, unit, clients, samples };
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

  /** Resolves after the first events. */
  static async open(port: number): Promise<Page> {
    const request = get({ host: '127.0.0.1', port, path: '/events', agent: false });
    const [stream] = (await once(request, 'response')) as [IncomingMessage];
    if (stream.statusCode !== 200) throw new Error(`bench: /events answers with ${stream.statusCode}`);
    const page = new Page(request, stream);
    await once(stream, 'data');
    page.#bytes = 0;
    return page;
  }

  /** @throws Error if nothing has come since it was opened. */
  close(): void {
    this.#request.destroy();
    if (this.#bytes === 0) throw new Error('bench: an open page got no events');
  }
}
