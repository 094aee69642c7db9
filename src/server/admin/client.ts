import { type IncomingMessage, request } from 'node:http';
import { type LookupFunction, Socket } from 'node:net';
import { lookup } from 'node:dns';
import type { ListenAddress, NetworkListenAddress } from '../../address/listen-address.ts';
import { isLocalhost, loopback } from '../../address/own-address.ts';
import { SmallservdError } from '../../errors.ts';
import { connectUnix, hasSockets } from '../../kernel/sockets.ts';
import { escapeToOneLine } from '../../terminal-text.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { readPeer } from '../transport/socket-handle.ts';
import type { PageEvent } from './live.ts';
import { EventReader } from './event-reader.ts';
import { checkEvent, eventNames, isEventName } from './event-shape.ts';
import { endpointName, type FaultChange, type Snapshot } from './snapshot.ts';
import { readSnapshot } from './snapshot-shape.ts';

/** How long the endpoint may take for a complete answer. */
const usualPatienceMs = 5000;

/** The largest answer to accept. It is enough for several thousand services. */
const maxAnswerBytes = 4 * 2 ** 20;

/** The deepest JSON nesting to accept, so that code walking the answer is safe. */
const maxDepth = 64;

/**
 * The endpoint that was reached: an address without a zone and a port, or the path of a UNIX socket and the process
 * that listens on it, as the kernel says: 0 in another pid namespace, undefined if unknown.
 */
export type ConnectedTo =
  | { readonly address: string; readonly port: number }
  | { readonly path: string; readonly listenerPid: number | undefined };

interface NetworkPlace {
  readonly host: string;
  readonly port: number;
  /** Without it, the host is an address. */
  readonly lookup?: LookupFunction;
}

/** Queries a running daemon through its admin endpoint. Anyone might answer, so everything received is checked. */
export class AdminClient {
  /** The endpoint, as written in the listen address. */
  readonly name: string;
  readonly #where: { readonly socketPath: string } | NetworkPlace;
  readonly #patienceMs: number;
  #connectedTo: ConnectedTo | undefined;

  /** Throws `ADMIN_UNKNOWN` if the address does not say how to connect. */
  constructor(address: ListenAddress, patienceMs = usualPatienceMs) {
    this.name = address.text;
    this.#patienceMs = patienceMs;
    if (address.scheme === 'unix') this.#where = { socketPath: address.path };
    else if (address.scheme === 'tcp') this.#where = placeOf(address);
    else
      throw new SmallservdError(
        'ADMIN_UNKNOWN',
        `admin.listen is ${address.text}, a socket passed by the service manager: pass its address with --admin`,
      );
  }

  /** Where the last request went, or undefined before the first. */
  get connectedTo(): ConnectedTo | undefined {
    return this.#connectedTo;
  }

  /** Throws `ADMIN_UNREACHABLE`. */
  async snapshot(): Promise<Snapshot> {
    const answer = await this.#get('/status');
    const reading = readSnapshot(answer);
    if ('snapshot' in reading) return reading.snapshot;
    throw this.#notOurs(`its /status ${reading.fault === '' ? 'is not an object' : `has no valid ${reading.fault}`}`);
  }

  /** The resolved config. Throws `ADMIN_UNREACHABLE`. */
  async config(): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#get('/config');
    if (typeof answer === 'object' && answer !== null && !Array.isArray(answer))
      return answer as Readonly<Record<string, unknown>>;
    throw this.#notOurs('its /config is not an object');
  }

  /**
   * What the page shows, as it changes: `past` first, then all that there is, then something every second. Ends when
   * the signal aborts. Throws `ADMIN_UNREACHABLE`, also after a silence.
   */
  async *events(ended: AbortSignal): AsyncGenerator<PageEvent, void> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), this.#patienceMs);
    try {
      const response = await this.#request('/events', 'GET', AbortSignal.any([ended, silence.signal]));
      this.#checkStream(response);
      const reader = new EventReader();
      for await (const chunk of response as AsyncIterable<Buffer>) {
        const received = reader.read(chunk);
        if (received === undefined) throw new UnusableAnswer('its events are malformed');
        for (const { name, data } of received) {
          if (!isEventName(name)) continue;
          // Bytes and unknown events alone would keep us waiting forever.
          timer.refresh();
          yield this.#readEvent(name, data);
        }
      }
      throw this.#unreachable('the connection was closed');
    } catch (error) {
      if (ended.aborted) return;
      if (silence.signal.aborted) throw this.#unreachable(`no event came for ${this.#patienceMs} ms`);
      throw error instanceof SmallservdError ? error : this.#failure(error as NodeJS.ErrnoException);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The first events, until each has come once. Throws `ADMIN_UNREACHABLE`. */
  async firstEvents(): Promise<readonly PageEvent[]> {
    const deadline = AbortSignal.timeout(this.#patienceMs);
    // One of each, so that whatever is sent takes a bounded amount of memory.
    const latest = new Map<PageEvent['name'], PageEvent>();
    for await (const event of this.events(deadline)) {
      latest.set(event.name, event);
      if (latest.size === eventNames.length) return [...latest.values()];
    }
    throw this.#unreachable(`no complete answer within ${this.#patienceMs} ms`);
  }

  #checkStream({ statusCode, headers }: IncomingMessage): void {
    if (headers.server !== endpointName) throw this.#notOurs('its answer has a different Server header');
    if (statusCode === 404) throw this.#unreachable('it is an earlier version, which keeps no history');
    if (statusCode !== 200) throw this.#unreachable(`it answers /events with status ${statusCode}`);
    if (headers['content-type'] !== 'text/event-stream') throw this.#notOurs('its /events are not events');
  }

  #readEvent(name: PageEvent['name'], data: string): PageEvent {
    const reading = checkEvent(name, parseJson(data));
    if ('event' in reading) return reading.event;
    throw this.#notOurs(`its event ${name} ${reading.fault === '' ? 'is not valid' : `has no valid ${reading.fault}`}`);
  }

  /**
   * Replaces the faults of a service. Resolves with those that can happen now. Throws `ADMIN_UNREACHABLE`,
   * `FAULTS_REFUSED` if this endpoint may not change anything, and `ARGUMENT_INVALID` with what the daemon says.
   */
  async changeFaults({ service, faults, forTime }: FaultChange): Promise<Readonly<Record<string, unknown>>> {
    const query = new URLSearchParams({ ...faults, ...(forTime !== null && { for: forTime }) });
    const answer = await this.#get(`/faults/${encodeURIComponent(service)}?${query.toString()}`, 'POST');
    const { faults: active } = (answer ?? {}) as { readonly faults?: unknown };
    if (typeof active === 'object' && active !== null) return active as Readonly<Record<string, unknown>>;
    throw this.#notOurs('its answer names no faults');
  }

  async #get(path: string, method: 'GET' | 'POST' = 'GET'): Promise<unknown> {
    const signal = AbortSignal.timeout(this.#patienceMs);
    const { response, body } = await this.#exchange(path, method, signal).catch((error: unknown) => {
      // Our own abort surfaces as various errors.
      if (signal.aborted) throw this.#unreachable(`no complete answer within ${this.#patienceMs} ms`);
      throw this.#failure(error as NodeJS.ErrnoException);
    });
    const { statusCode = 0 } = response;
    if (response.headers.server !== endpointName) throw this.#notOurs('its answer has a different Server header');
    // Our endpoint reports errors as a single line.
    if (method === 'POST' && statusCode >= 400 && statusCode < 500) throw refused(statusCode, this.name, body);
    if (statusCode >= 400 && /^.{1,200}\n$/.test(body)) throw this.#unreachable(body.trim());
    if (statusCode !== 200) throw this.#notOurs(`it answers ${path} with status ${statusCode}`);
    const answer = parseJson(body);
    if (answer === undefined) throw this.#notOurs(`its ${path} is not JSON, or is nested too deeply`);
    return answer;
  }

  /** Rejects with the system's error, or with `UnusableAnswer`. */
  async #exchange(
    path: string,
    method: 'GET' | 'POST',
    signal: AbortSignal,
  ): Promise<{ response: IncomingMessage; body: string }> {
    const response = await this.#request(path, method, signal);
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > maxAnswerBytes) throw new UnusableAnswer(`its ${path} is longer than ${maxAnswerBytes} bytes`);
      parts.push(part);
    }
    return { response, body: Buffer.concat(parts).toString() };
  }

  /** Resolves with the start of the answer. */
  async #request(path: string, method: 'GET' | 'POST', signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise<IncomingMessage>((resolve, reject) => {
      // Every endpoint accepts this name, whatever its address.
      request({ ...this.#where, ...this.#connection(), path, method, signal, headers: { Host: 'localhost' } })
        .on('socket', (socket) => {
          if (socket.connecting) socket.once('connect', () => this.#noteConnection(socket));
          else this.#noteConnection(socket);
        })
        .on('response', resolve)
        // Errors after the response has started also end reading it.
        .on('error', reject)
        // A response that switches protocols causes no other event.
        .on('close', () => reject(new UnusableAnswer('it sent no answer')))
        .end();
    });
  }

  /**
   * A UNIX socket that refuses descriptors. Whoever listens could send one whose close waits for minutes, and this
   * process with it. Where the kernel cannot be called directly, Node opens the socket. Throws the system's error.
   */
  #connection(): { readonly createConnection: () => Socket } | { readonly agent: false } {
    if (!('socketPath' in this.#where) || !hasSockets) return { agent: false };
    const fd = connectUnix(this.#where.socketPath);
    // Not with an agent, which would open another one.
    return { createConnection: () => new Socket({ fd }) };
  }

  #noteConnection(socket: Socket): void {
    const where = this.#where;
    const { remoteAddress = '', remotePort = 0 } = socket;
    this.#connectedTo =
      'socketPath' in where
        ? { path: where.socketPath, listenerPid: readPeer(socket)?.pid }
        : { address: remoteAddress.replace(/%.*/, ''), port: remotePort };
  }

  #failure(error: NodeJS.ErrnoException): SmallservdError {
    if (error instanceof UnusableAnswer) return this.#notOurs(error.message);
    if (error.code?.startsWith('HPE_') === true) return this.#notOurs('it does not speak HTTP');
    // What stands in the way of a UNIX socket is no firewall.
    const isFile = 'socketPath' in this.#where && error.code !== 'ENOENT';
    return this.#unreachable(describeSystemError(error, isFile ? 'file' : 'connection'));
  }

  #unreachable(reason: string): SmallservdError {
    return new SmallservdError('ADMIN_UNREACHABLE', `no daemon answers at ${this.name}: ${reason}`);
  }

  #notOurs(reason: string): SmallservdError {
    return new SmallservdError('ADMIN_UNREACHABLE', `${this.name} is not a smallservd admin endpoint: ${reason}`);
  }
}

/** The daemon does not do what was asked. A daemon of an earlier version says that it only reads. */
function refused(status: number, name: string, body: string): SmallservdError {
  const reason = escapeToOneLine(body.slice(0, 4096).trim());
  if (status === 400) return new SmallservdError('ARGUMENT_INVALID', reason);
  return new SmallservdError('FAULTS_REFUSED', `${name} changes nothing: ${reason}`);
}

/** An answer that no smallservd endpoint would give. */
class UnusableAnswer extends Error {}

/** Returns undefined if the text is not JSON or is nested too deeply. */
function parseJson(text: string): unknown {
  try {
    const value = JSON.parse(text) as unknown;
    return isDeeper(value, maxDepth) ? undefined : value;
  } catch {
    return undefined;
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}

/** A wildcard address is reached through loopback. */
function placeOf({ host, port, family }: NetworkListenAddress): NetworkPlace {
  if (host === '0.0.0.0' || host === '::') return { host: host === '::' ? loopback.ipv6 : loopback.ipv4, port };
  if (host !== '' && !isLocalhost(host)) return { host, port, lookup };
  if (family !== 'both') return { host: loopback[family], port };
  return { host: 'localhost', port, lookup: lookUpLocalhost };
}

/** Gives both, to be tried in order, or only the first if Node is told not to try. */
const lookUpLocalhost: LookupFunction = (_host, { all }, found) =>
  all === true ? found(null, bothLoopback) : found(null, loopback.ipv4, 4);

const bothLoopback = [
  { address: loopback.ipv4, family: 4 },
  { address: loopback.ipv6, family: 6 },
];
