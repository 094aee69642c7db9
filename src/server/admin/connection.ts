import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../../clock/clock.ts';
import { type Page, textPage } from './pages.ts';
import { type AdminRequest, malformed, readRequest, type Refusal } from './request.ts';
import { endpointName } from './snapshot.ts';

/** From the connection to the end of the request's header. */
const headerMs = 2000;

/** For the answer to be made, and for the client to take each piece of it. */
const stallMs = 5000;

/** For the client to close after us. */
const lingerMs = 2000;

const noBody = Buffer.alloc(0);

/** An answer is sent in such pieces, so that it shows whether the client takes them. */
const pieceBytes = 65_536;

export interface AdminConnectionOptions {
  readonly clock: Clock;
  readonly answer: (request: AdminRequest) => Promise<Page>;
  /** Its request is whole, more came after it, or the client has taken some of the answer. */
  readonly heard: (connection: AdminConnection) => void;
  readonly closed: (connection: AdminConnection) => void;
}

/** A client's connection: one request, its answer, and the end, each in its time. */
export class AdminConnection {
  readonly #socket: Socket;
  readonly #options: AdminConnectionOptions;
  #state: AdminConnection['state'] = 'asking';
  #header = '';
  #cancelDeadline: Cancel = () => {};

  /** The socket allows to be half open: a client that has finished sending gets its answer. */
  constructor(socket: Socket, options: AdminConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    // `close` follows.
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('end', () => this.#clientEnded());
    socket.on('close', () => {
      this.#cancelDeadline();
      options.closed(this);
    });
    this.#deadline(headerMs, () => this.#refuse({ status: 408, reason: `no request within ${headerMs} ms` }));
  }

  /**
   * `asking`: its header is not whole. `answering`: its answer is being made or sent. `closing`: it has been handed all
   * of it.
   */
  get state(): 'asking' | 'answering' | 'closing' {
    return this.#state;
  }

  /** Ends it at once, whatever is under way. */
  destroy(): void {
    // Without a reset the kernel would keep what the client does not take; a UNIX socket has no reset.
    if (this.#state === 'answering' && this.#socket.remoteAddress !== undefined) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    // Bodies and further requests are thrown away. They must be read: closing with unread input resets the connection,
    // and the answer is lost.
    if (this.#state === 'asking') {
      this.#header += chunk.toString('latin1');
      const request = readRequest(this.#header);
      // Single bytes must not keep a place: until its request is whole, a connection is as old as it is.
      if (request === undefined) return;
      if ('status' in request) this.#refuse(request);
      else void this.#answer(request);
    }
    this.#options.heard(this);
  }

  #clientEnded(): void {
    if (this.#state !== 'asking') return;
    if (this.#header === '') this.#close();
    else this.#refuse(malformed('it ends within its header'));
  }

  async #answer(request: AdminRequest): Promise<void> {
    this.#startAnswer();
    const page = await this.#options.answer(request);
    this.#send(page, request.method !== 'HEAD');
  }

  #refuse({ status, reason }: Refusal): void {
    this.#startAnswer();
    this.#send(textPage(status, reason), true);
  }

  #startAnswer(): void {
    this.#state = 'answering';
    this.#header = '';
    this.#deadline(stallMs, () => this.destroy());
  }

  #send(page: Page, withBody: boolean): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(formatHeader(page, this.#options.clock.now()));
    this.#sendPieces(withBody ? page.body : noBody);
  }

  #sendPieces(bytes: Buffer): void {
    if (this.#socket.destroyed) return;
    if (bytes.length === 0) {
      this.#close();
      return;
    }
    this.#deadline(stallMs, () => this.destroy());
    this.#socket.write(bytes.subarray(0, pieceBytes), () => {
      this.#options.heard(this);
      this.#sendPieces(bytes.subarray(pieceBytes));
    });
  }

  #close(): void {
    this.#state = 'closing';
    this.#socket.end();
    this.#deadline(lingerMs, () => this.destroy());
  }

  /** What happens if this step takes longer. */
  #deadline(ms: number, passed: () => void): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.#options.clock.after(ms, passed);
  }
}

function formatHeader({ status, type, body }: Page, now: Date): Buffer {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${now.toUTCString()}`,
    `Server: ${endpointName}`,
    'Connection: close',
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    ...(status === 405 ? ['Allow: GET, HEAD'] : []),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}
