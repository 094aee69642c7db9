import { parseIp } from '../../address/ip-address.ts';
import type { Clock } from '../../clock/clock.ts';
import { escapeToOneLine, formatJson } from '../../terminal-text.ts';
import { TokenBucket } from '../guard/token-bucket.ts';
import { coalesced, maxAgeMs } from './coalesced.ts';
import { formatMetrics, metricsType } from './metrics.ts';
import { contentSecurityPolicy, pageAssets } from './page-assets.ts';
import type { AdminRequest } from './request.ts';
import { type FaultResult, maxFaultKeys, type SnapshotSource } from './snapshot.ts';

/** An answer without the header fields common to all. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
  /** The answer goes on with server-sent events, until the connection is closed. */
  readonly isStream?: boolean;
  /** Its Content-Security-Policy. */
  readonly policy?: string;
  /** Header fields of this page alone. */
  readonly fields?: readonly string[];
}

const json = 'application/json; charset=utf-8';
const plain = 'text/plain; charset=utf-8';

const eventsPath = '/events';
const faultsPath = '/faults/';

const readOnly =
  'to change faults, set admin.listen to unix:///PATH?mode=0600 and restart; TCP and inherited sockets are read-only';

const foreignPage = 'web pages of other sites must not change faults: Sec-Fetch-Site or Origin names another site';

/**
 * A proxy that collects an answer before it passes it on, as nginx does, must not do so with a stream. A browser must
 * not keep one open for another site.
 */
const eventStream: Page = {
  status: 200,
  type: 'text/event-stream',
  body: Buffer.alloc(0),
  isStream: true,
  fields: ['X-Accel-Buffering: no', 'Cross-Origin-Resource-Policy: same-origin'],
};

/** Who may have a stream, of those that browsers tell apart: our own page, and whoever types the address. */
const streamSites: ReadonlySet<string> = new Set(['same-origin', 'none']);

/** Each is a question to the supervisor, which takes no more than `maxMessagesPerSecond` of the endpoint's process. */
const changesPerSecond = 20;

/** Pages that answer only yes or no. Orchestrator probes may request them under any host name. */
const probes: ReadonlySet<string> = new Set(['/livez', '/readyz']);

/** Whether it asks for nothing but the health of the daemon. */
export function isProbe({ target }: AdminRequest): boolean {
  return probes.has(pathOf(target));
}

function pathOf(target: string): string {
  return target.split('?')[0] ?? '';
}

/**
 * The pages of the admin endpoint: the page for people, metrics, health and status. Requests must be addressed to an IP
 * address, localhost or one of `hosts`, which keeps web pages from reading them through their own domain (DNS
 * rebinding).
 */
export class AdminPages {
  readonly #hosts: ReadonlySet<string>;
  readonly #source: SnapshotSource;
  readonly #pages: ReadonlyMap<string, () => Promise<Page>>;
  readonly #clock: Clock;
  readonly #changes = new TokenBucket({ perSecond: changesPerSecond, burst: changesPerSecond });

  constructor(source: SnapshotSource, hosts: readonly string[], clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#hosts = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())]);
    const shared = <Value>(make: () => Promise<Value>): (() => Promise<Value>) => coalesced(make, maxAgeMs, clock);
    const snapshot = shared(async () => source.snapshot());
    const config = shared(async () => source.config());
    const pages: Readonly<Record<string, () => Promise<Page>>> = {
      [eventsPath]: async () => eventStream,
      async '/livez'() {
        // Only a live supervisor can answer.
        await snapshot();
        return textPage(200, 'ok');
      },
      async '/readyz'() {
        const { notReady } = await snapshot();
        return notReady.length === 0 ? textPage(200, 'ok') : textPage(503, `not ready: ${notReady.join('; ')}`);
      },
      '/metrics': shared(async () => page(200, metricsType, await formatMetrics(await snapshot()))),
      '/status': shared(async () => jsonPage(await snapshot())),
      '/config': shared(async () => jsonPage(await config())),
    };
    const assets = pageAssets.map(({ path, type, body }) => {
      const asset: Page = {
        status: 200,
        type,
        body,
        policy: contentSecurityPolicy,
        fields: ['Referrer-Policy: no-referrer'],
      };
      return [path, async () => asset] as const;
    });
    this.#pages = new Map([...Object.entries(pages), ...assets]);
  }

  /** Answers a request, with 503 if the data source fails. */
  async answer(request: AdminRequest): Promise<Page> {
    const { method, target, host, fetchSite = 'none' } = request;
    if (method === 'POST' && target.startsWith(faultsPath)) return this.#changeFaults(request);
    if (method !== 'GET' && method !== 'HEAD') return textPage(405, 'only GET and HEAD');
    const path = pathOf(target);
    if (!probes.has(path) && !this.#isMeant(host)) return textPage(421, 'Host not accepted: see admin.hosts');
    const make = this.#pages.get(path);
    if (make === undefined) return textPage(404, 'expected /, /metrics, /livez, /readyz, /status or /config');
    if (path === eventsPath && !streamSites.has(fetchSite)) return textPage(403, 'only for the page of this endpoint');
    return make().catch(() => textPage(503, 'no answer from the supervisor'));
  }

  /** `POST /faults/SERVICE?delay.time=50ms&for=5m`. */
  async #changeFaults(request: AdminRequest): Promise<Page> {
    const { target, host } = request;
    if (isOfForeignPage(request)) return textPage(403, foreignPage);
    const change = this.#source.changeFaults;
    if (change === undefined) return textPage(403, readOnly);
    if (!this.#isMeant(host)) return textPage(421, 'Host not accepted: see admin.hosts');
    const [service = '', query = ''] = target.slice(faultsPath.length).split('?', 2);
    const { for: forTime = null, ...faults } = Object.fromEntries(new URLSearchParams(query));
    if (Object.keys(faults).length > maxFaultKeys) return textPage(400, `more than ${maxFaultKeys} keys`);
    if (!this.#changes.take(this.#clock.monotonicMs()))
      return textPage(503, `more than ${changesPerSecond} changes of faults a second, try again`);
    try {
      const result: FaultResult = await change({ service, faults, forTime });
      // Bytes of the request are in it.
      if ('problem' in result) return textPage(400, escapeToOneLine(result.problem));
      return jsonPage(result);
    } catch {
      return textPage(503, 'no answer from the supervisor');
    }
  }

  #isMeant(host: string | undefined): boolean {
    if (host === undefined) return false;
    const name = host.replace(/:\d+$/, '').toLowerCase();
    if (this.#hosts.has(name)) return true;
    // What follows the % of a zone could be any name. Clients send none (RFC 6874).
    return !name.includes('%') && parseIp(name.replace(/^\[(.*)\]$/, '$1')) !== undefined;
  }
}

/**
 * Whether a page of another origin makes its reader's browser send this. Browsers send such requests without asking
 * us first, and whoever forwards a TCP port to a UNIX socket lets their browser reach it. Each browser sends at least
 * one of the two fields with a POST, and no page can set them.
 */
function isOfForeignPage({ host, fetchSite, origin }: AdminRequest): boolean {
  if (fetchSite !== undefined && fetchSite !== 'same-origin') return true;
  return origin !== undefined && !isOfHost(origin, host ?? '');
}

/** The origin `null` of a page that hides its own, such as one in a sandbox, is of no host. */
function isOfHost(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const site = new URL(origin);
  const own = `${site.protocol}//${host}`;
  return site.host !== '' && URL.canParse(own) && new URL(own).host === site.host;
}

/** A page of one line. */
export function textPage(status: number, line: string): Page {
  return page(status, plain, `${line}\n`);
}

function jsonPage(value: unknown): Page {
  // Workers have a say in it, and somebody will look at it on a terminal. The value stays the same.
  return page(200, json, formatJson(value));
}

function page(status: number, type: string, body: string): Page {
  return { status, type, body: Buffer.from(body) };
}
