import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { ListenAddress, NetworkListenAddress } from '../address/listen-address.ts';
import { SmallservdError } from '../errors.ts';
import { endpointName, type Snapshot } from './snapshot.ts';

/** How long the endpoint may take for a whole answer. */
const timeoutMs = 5000;

/** More than this is no answer of ours. */
const maxAnswerLength = 64 * 2 ** 20;

/** Asks a running daemon through its admin endpoint. */
export class AdminClient {
  readonly #where: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly #name: string;

  /** Throws `ADMIN_UNKNOWN` where the address does not say how to connect. */
  constructor(address: ListenAddress) {
    this.#name = address.text;
    if (address.scheme === 'unix') this.#where = { socketPath: address.path };
    else if (address.scheme === 'tcp') this.#where = { host: hostOf(address), port: address.port };
    else
      throw new SmallservdError(
        'ADMIN_UNKNOWN',
        `admin.listen is ${address.text}, a socket that the service manager passes: say with --admin where it is`,
      );
  }

  /** Throws `ADMIN_UNREACHABLE`. */
  async snapshot(): Promise<Snapshot> {
    return (await this.#get('/status')) as Snapshot;
  }

  /** The resolved config. Throws `ADMIN_UNREACHABLE`. */
  async config(): Promise<unknown> {
    return this.#get('/config');
  }

  async #get(path: string): Promise<unknown> {
    const { response, body } = await this.#ask(path).catch((error: unknown) => {
      throw this.#unreachable(reasonOf(error as NodeJS.ErrnoException));
    });
    if (response.headers.server !== endpointName) throw this.#unreachable('another program does');
    if (response.statusCode !== 200) throw this.#unreachable(body.trim());
    return JSON.parse(body) as unknown;
  }

  /** Rejects with the system's error. */
  async #ask(path: string): Promise<{ readonly response: IncomingMessage; readonly body: string }> {
    const signal = AbortSignal.timeout(timeoutMs);
    // By the name that every endpoint answers to, whatever the address is called.
    const asked = request({ ...this.#where, path, signal, agent: false, headers: { Host: 'localhost' } });
    // What comes after the answer has begun ends the reading of it, too.
    asked.on('error', () => {}).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    let body = '';
    for await (const part of response.setEncoding('utf8')) {
      body += String(part);
      if (body.length > maxAnswerLength) throw new Error('the answer is too long');
    }
    return { response, body };
  }

  #unreachable(reason: string): SmallservdError {
    return new SmallservdError('ADMIN_UNREACHABLE', `no daemon answers at ${this.#name}: ${reason}`);
  }
}

/** All interfaces are reached through loopback. */
function hostOf({ host, family }: NetworkListenAddress): string {
  if (host === '') return family === 'ipv6' ? '::1' : '127.0.0.1';
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function reasonOf({ code, name, message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ENOENT') return 'there is no such socket';
  if (code === 'EACCES') return 'not permitted';
  if (code === 'ECONNRESET') return 'the connection was cut';
  if (code?.startsWith('HPE_')) return 'another program does';
  if (name === 'AbortError') return `nothing whole came within ${timeoutMs} ms`;
  return message;
}
