import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { parseIp } from '../../address/ip-address.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import { SourceMask } from '../guard/source-prefix.ts';
import { isProbe, type Page, textPage } from './pages.ts';
import { type AdminRequest, malformed, readRequest, type Refusal } from './request.ts';
import { endpointName } from './snapshot.ts';
import type { Turns } from './turns.ts';

/** From connecting to the end of the request header. */
const headerMs = 2000;

/** For making the answer, for its turn, and for the client to accept each piece of it. */
const stallMs = 5000;

/** For the client to close after us. */
const lingerMs = 2000;

const noBody = Buffer.alloc(0);

const sources = new SourceMask({ ipv4: 32, ipv6: 64 });

/** Answers are sent in pieces of this size, to see whether the client accepts them. The last waits for no turn. */
const pieceBytes = 65_536;

export interface AdminConnectionOptions {
  readonly clock: Clock;
  /** For pieces of long answers. */
  readonly turns: Turns<AdminConnection>;
  /** For input after a request. */
  readonly inputTurns: Turns<AdminConnection>;
  readonly answer: (request: AdminRequest) => Promise<Page>;
  /** The answer is a stream: only its header has been sent, and `push` sends the rest. */
  readonly streaming: (connection: AdminConnection) => void;
  /** The request is complete, or the client has accepted part of the answer. */
  readonly heard: (connection: AdminConnection) => void;
  readonly closed: (connection: AdminConnection) => void;
}

/** A client connection with one request and one answer, which may be a stream. Each step has its own deadline. */
export class AdminConnection {
  /** Connections of the same source give way together when places run out. */
  readonly source: string;
  readonly #socket: Socket;
  readonly #options: AdminConnectionOptions;
  #state: AdminConnection['state'] = 'asking';
  #header = '';
  #isProbe = false;
  #cancelDeadline: Cancel = () => {};
  /** What was pushed last has not been accepted yet. */
  #isPushing = false;

  /**
   * The socket must allow half-open connections, so that a client that has finished sending still gets its answer. Only
   * a stream ends with what the client sends: whoever closes a page does the same.
   */
  constructor(socket: Socket, options: AdminConnectionOptions) {
    this.source = sourceOf(socket.remoteAddress);
    this.#socket = socket;
    this.#options = options;
    // `close` follows.
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('end', () => this.#clientEnded());
    socket.on('close', () => {
      this.#cancelDeadline();
      options.turns.leave(this);
      options.inputTurns.leave(this);
      options.closed(this);
    });
    this.#deadline(headerMs, () => this.#refuse({ status: 408, reason: `no request within ${headerMs} ms` }));
  }

  /**
   * `asking`: incomplete header. `answering`: making or sending the answer. `streaming`: the answer goes on until
   * somebody ends it. `closing`: all of it is written.
   */
  get state(): 'asking' | 'answering' | 'streaming' | 'closing' {
    return this.#state;
  }

  /** It has asked whether the daemon is healthy. */
  get isProbe(): boolean {
    return this.#isProbe;
  }

  /** Closes immediately, in any state. */
  destroy(): void {
    // Without a reset, the kernel would keep data that the client does not read. UNIX sockets cannot be reset.
    const hasUnread = this.#state === 'answering' || this.#state === 'streaming';
    if (hasUnread && this.#socket.remoteAddress !== undefined) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Sends more of a stream. Returns false, and sends nothing, while the client has not accepted the previous piece. */
  push(bytes: Buffer): boolean {
    if (this.#isPushing || this.#socket.destroyed) return false;
    this.#isPushing = true;
    this.#sendPieces(bytes, false, () => {
      this.#isPushing = false;
      this.#cancelDeadline();
    });
    return true;
  }

  #read(chunk: Buffer): void {
    if (this.#state !== 'asking') {
      this.#readMoreInTurn();
      return;
    }
    this.#header += chunk.toString('latin1');
    const request = readRequest(this.#header);
    // A client must not keep its place by sending single bytes.
    if (request === undefined) return;
    if ('status' in request) this.#refuse(request);
    else void this.#answer(request);
    this.#options.heard(this);
  }

  /**
   * Bodies and further requests must be read: closing with unread input would send a reset and lose the answer. But
   * they must not keep us from others: libuv reads 2 MiB at once.
   */
  #readMoreInTurn(): void {
    this.#socket.pause();
    this.#options.inputTurns.wait(this, false, () => this.#socket.resume());
  }

  #clientEnded(): void {
    if (this.#state === 'streaming') this.destroy();
    if (this.#state !== 'asking') return;
    if (this.#header === '') this.#close();
    else this.#refuse(malformed('it ends in the middle of its header'));
  }

  async #answer(request: AdminRequest): Promise<void> {
    this.#isProbe = isProbe(request);
    this.#startAnswer();
    const page = await this.#options.answer(request);
    if (page.isStream && request.method !== 'HEAD') this.#startStream(page);
    else this.#send(page, request.method !== 'HEAD');
  }

  #refuse({ status, reason }: Refusal): void {
    this.#startAnswer();
    this.#send(textPage(status, reason), true);
  }

  #startStream(page: Page): void {
    if (this.#socket.destroyed) return;
    if (this.#socket.readableEnded) {
      this.destroy();
      return;
    }
    this.#state = 'streaming';
    this.#cancelDeadline();
    this.#socket.write(formatHeader(page, this.#options.clock.now()));
    this.#options.streaming(this);
  }

  #startAnswer(): void {
    this.#state = 'answering';
    this.#header = '';
    this.#deadline(stallMs, () => this.destroy());
  }

  #send(page: Page, withBody: boolean): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(formatHeader(page, this.#options.clock.now()));
    this.#sendPieces(withBody ? page.body : noBody, false, () => this.#close());
  }

  #sendPieces(bytes: Buffer, hasBegun: boolean, sent: () => void): void {
    if (this.#socket.destroyed) return;
    if (bytes.length === 0) {
      sent();
      return;
    }
    this.#deadline(stallMs, () => this.destroy());
    const send = (): void => {
      this.#deadline(stallMs, () => this.destroy());
      this.#socket.write(bytes.subarray(0, pieceBytes), () => {
        this.#options.heard(this);
        this.#sendPieces(bytes.subarray(pieceBytes), true, sent);
      });
    };
    if (this.#isProbe || bytes.length <= pieceBytes) send();
    else this.#options.turns.wait(this, hasBegun, send);
  }

  #close(): void {
    this.#state = 'closing';
    this.#socket.end();
    this.#deadline(lingerMs, () => this.destroy());
  }

  /** Sets what happens if the current step takes too long. */
  #deadline(ms: number, passed: () => void): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.#options.clock.after(ms, passed);
  }
}

/** For all answers: no page of another site may show them in a frame. */
const noFrames = "frame-ancestors 'none'";

function formatHeader(page: Page, now: Date): Buffer {
  const { status, type, body, isStream = false, policy = noFrames, fields = [] } = page;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${now.toUTCString()}`,
    `Server: ${endpointName}`,
    'Connection: close',
    `Content-Type: ${type}`,
    // A stream ends with its connection.
    ...(isStream ? [] : [`Content-Length: ${body.length}`]),
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    `Content-Security-Policy: ${policy}`,
    ...(status === 405 ? ['Allow: GET, HEAD'] : []),
    ...fields,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** An IPv4 address, an IPv6 /64, or all users of UNIX sockets, which have no address. */
function sourceOf(address: string | undefined): string {
  const ip = parseIp(address ?? '');
  return ip === undefined ? '' : Object.values(sources.keyOf(ip)).join(' ');
}
