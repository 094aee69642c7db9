import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { parseIp } from '../address/ip-address.ts';
import { formatMetrics, metricsType } from './metrics.ts';
import { endpointName, type SnapshotSource } from './snapshot.ts';

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** How long a client may take to ask, and how long it may then take nothing of the answer. */
const usualPatienceMs = 5000;

const json = 'application/json; charset=utf-8';
const plain = 'text/plain; charset=utf-8';

/** Pages that tell nothing but yes or no: probes of orchestrators ask for them under any name. */
const probes: ReadonlySet<string> = new Set(['/livez', '/readyz']);

/**
 * The admin endpoint: metrics, health and status over HTTP, for reading only. Requests must be addressed to an IP
 * address, localhost or one of `hosts`: a web page in somebody's browser cannot read it through a name of its own (DNS rebinding).
 */
export class AdminServer {
  readonly #source: SnapshotSource;
  readonly #hosts: ReadonlySet<string>;
  readonly #server: Server;

  constructor(source: SnapshotSource, hosts: readonly string[], patienceMs = usualPatienceMs) {
    this.#source = source;
    this.#hosts = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())]);
    this.#server = createServer(
      // A client that dawdles costs one socket for so long, and no more than so many are there.
      {
        headersTimeout: patienceMs,
        requestTimeout: patienceMs,
        connectionsCheckingInterval: patienceMs / 5,
        maxHeaderSize: 8192,
      },
      (request, response) => void this.#respond(request, response),
    );
    this.#server.timeout = patienceMs;
    // Within what the process keeps free of clients: without a supervisor both are served by the same one.
    this.#server.maxConnections = 24;
    // Of a thousand questions sent at once, the answers would all be made before the first is taken.
    this.#server.maxRequestsPerSocket = 1;
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** Rejects with the system's error. */
  async open(options: ListenOptions): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(options, () => {
        this.#server.off('error', reject);
        // EMFILE and the like: this client is not served, the next may be.
        this.#server.on('error', () => {});
        resolve();
      });
    });
  }

  /** The port it listens on; undefined for a UNIX socket. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  /** How many are connected. */
  async clients(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body } = await this.#page(request).catch((): Page => {
      return { status: 503, type: plain, body: 'no answer from the supervisor\n' };
    });
    response.writeHead(status, {
      Server: endpointName,
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #page({ method, url = '/', headers }: IncomingMessage): Promise<Page> {
    const path = url.split('?')[0] ?? '/';
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD');
    if (!probes.has(path) && !this.#isMeant(headers.host)) return text(421, 'this endpoint has no such name');
    switch (path) {
      case '/livez':
        // Only a supervisor that is alive can answer.
        await this.#source.snapshot();
        return text(200, 'ok');
      case '/readyz': {
        const { notReady } = await this.#source.snapshot();
        return notReady.length === 0 ? text(200, 'ok') : text(503, `not ready: ${notReady.join('; ')}`);
      }
      case '/metrics':
        return { status: 200, type: metricsType, body: await formatMetrics(await this.#source.snapshot()) };
      case '/status':
        return jsonPage(await this.#source.snapshot());
      case '/config':
        return jsonPage(await this.#source.config());
      case '/':
        return text(200, 'smallservd: /metrics /livez /readyz /status /config');
      default:
        return text(404, 'there are /metrics, /livez, /readyz, /status and /config');
    }
  }

  #isMeant(host: string | undefined): boolean {
    if (host === undefined) return false;
    const name = host.replace(/:\d+$/, '').toLowerCase();
    return this.#hosts.has(name) || parseIp(name.replace(/^\[(.*)\]$/, '$1')) !== undefined;
  }
}

function text(status: number, line: string): Page {
  return { status, type: plain, body: `${line}\n` };
}

function jsonPage(value: unknown): Page {
  return { status: 200, type: json, body: `${JSON.stringify(value, null, 2)}\n` };
}
