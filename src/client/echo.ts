import { formatHostPort } from '../address/host-port.ts';
import type { Cancel } from '../clock/clock.ts';
import { Connection, type Endpoint } from './dial/connection.ts';
import { DatagramSocket } from './dial/datagram-socket.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { type HostAddress, resolveHost } from './dial/resolve-host.ts';
import { parseTarget, type Target } from './dial/target.ts';
import { foreverMs, untilInterrupted, waitFor } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import { firstDifference } from './first-difference.ts';
import { formatDuration } from '../units.ts';
import { assertKeepAlive, type EchoOptions } from './echo/options.ts';
import { addressesFor, assertWithin, largestDatagramBytes, type WithDefaults, withDefaults } from './options.ts';

export interface EchoPipeOptions extends EchoOptions {
  /** Over UDP: the input is cut into datagrams of at most this many bytes, 1 to 65507. Default 512. */
  readonly sizeBytes?: number | undefined;
}

/** What was sent and came back unchanged. */
export interface Echoed {
  readonly peer: Endpoint;
  readonly bytes: number;
}

/** Receives what came back. The next read waits until it resolves. */
export type Deliver = (bytes: Uint8Array) => Promise<void> | void;

type Settings = WithDefaults<EchoPipeOptions>;

/** The most data in flight over TCP, so that a peer that never answers does not exhaust memory. */
const windowBytes = 16 * 1024 * 1024;
/** Over UDP, a datagram is resent if it has not come back after this long, since peers and networks drop some. */
const againMs = 1000;

/**
 * Sends `input` to an echo service (RFC 862), delivers what comes back and compares the two. Over TCP, both directions
 * run concurrently, and the end of the input sends FIN and waits for the peer's FIN. Over UDP, each datagram must come
 * back before the next is sent. The bytes of `input` must not change afterwards. If the peer ends first, the rest of
 * the input is left unread. Throws `ANSWER_WRONG` at the first byte that differs or if bytes are missing at the peer's
 * FIN, `NO_ANSWER` if data does not come back in time, `CONNECTION_LOST` if the peer ends before the input does, and
 * the errors of `Connection.open`, `input` and `deliver`.
 */
export async function echo(
  host: string,
  input: AsyncIterable<Uint8Array>,
  deliver: Deliver,
  options: EchoPipeOptions = {},
): Promise<Echoed> {
  const settings = withDefaults(options);
  assertKeepAlive(options);
  if (options.udp === true) return echoOverUdp(parseTarget(host, 'udp', 'echo'), input, deliver, settings);
  const connection = await Connection.open(parseTarget(host, 'tcp', 'echo'), settings);
  try {
    settings.connected?.(connection.peer);
    return await new StreamEcho(connection, input, deliver, settings).run();
  } finally {
    connection.destroy();
  }
}

class StreamEcho {
  readonly #connection: Connection;
  readonly #input: AsyncIterable<Uint8Array>;
  readonly #deliver: Deliver;
  readonly #settings: Settings;
  readonly #name: string;
  /** Data sent and not yet returned. */
  readonly #underWay: Uint8Array[] = [];
  #sentBytes = 0;
  #receivedBytes = 0;
  #isFinished = false;
  /** When the peer started to owe an answer, or undefined if none is due. */
  #dueSinceMs: number | undefined;
  #madeRoom: () => void = () => {};

  constructor(connection: Connection, input: AsyncIterable<Uint8Array>, deliver: Deliver, settings: Settings) {
    this.#connection = connection;
    this.#input = input;
    this.#deliver = deliver;
    this.#settings = settings;
    this.#name = formatHostPort(connection.peer.address, connection.peer.port);
  }

  async run(): Promise<Echoed> {
    const inputFailed = new Promise<never>((_resolve, reject) => void this.#sendAll().catch(reject));
    await Promise.race([this.#receiveAll(), inputFailed]);
    return { peer: this.#connection.peer, bytes: this.#receivedBytes };
  }

  async #sendAll(): Promise<void> {
    for await (const chunk of this.#input) {
      if (chunk.length === 0) continue;
      while (this.#underWayBytes >= windowBytes)
        await new Promise<void>((resolve) => {
          this.#madeRoom = resolve;
        });
      this.#underWay.push(chunk);
      this.#sentBytes += chunk.length;
      this.#dueSinceMs ??= this.#settings.clock.monotonicMs();
      try {
        // No timeout: the reader decides how long this may take, and also sees a failure.
        await this.#connection.write(chunk, foreverMs);
      } catch {
        return;
      }
    }
    this.#isFinished = true;
    this.#dueSinceMs ??= this.#settings.clock.monotonicMs();
    this.#connection.finish();
  }

  async #receiveAll(): Promise<void> {
    const { clock, signal } = this.#settings;
    for (;;) {
      const chunk = await this.#read();
      if (chunk === undefined) return this.#assertComplete();
      const wrongAt = this.#compare(chunk);
      await untilInterrupted(Promise.resolve(this.#deliver(chunk)), signal);
      if (wrongAt !== undefined) throw differs(this.#name, wrongAt);
      const isDue = this.#underWayBytes > 0 || this.#isFinished;
      this.#dueSinceMs = isDue ? clock.monotonicMs() : undefined;
      this.#madeRoom();
    }
  }

  /** The next bytes, or undefined after the peer's FIN. Silence is an error only while an answer is due. */
  async #read(): Promise<Uint8Array | undefined> {
    const { clock, timeoutMs } = this.#settings;
    for (;;) {
      const leftMs = (this.#dueSinceMs ?? clock.monotonicMs()) + timeoutMs - clock.monotonicMs();
      if (leftMs <= 0) throw this.#silence();
      try {
        return await this.#connection.read(leftMs);
      } catch (error) {
        if (!(error instanceof SmallservdError)) throw error;
        if (error.code === 'CONNECTION_LOST') throw this.#lost(error);
        if (error.code !== 'NO_ANSWER') throw error;
      }
    }
  }

  /** Removes the bytes from those in flight. Returns the stream offset of the first that differs. */
  #compare(chunk: Uint8Array): number | undefined {
    const start = this.#receivedBytes;
    this.#receivedBytes += chunk.length;
    for (let taken = 0; taken < chunk.length; ) {
      const expected = this.#underWay[0];
      if (expected === undefined) return start + taken;
      const part = chunk.subarray(taken, taken + expected.length);
      const offset = firstDifference(expected.subarray(0, part.length), part);
      if (offset !== undefined) return start + taken + offset;
      taken += part.length;
      if (part.length === expected.length) this.#underWay.shift();
      else this.#underWay[0] = expected.subarray(part.length);
    }
    return undefined;
  }

  #assertComplete(): void {
    const missing = this.#underWayBytes;
    if (missing > 0) {
      const message = `${this.#name} closed the connection: ${missing} of ${this.#sentBytes} bytes did not come back`;
      throw new SmallservdError('ANSWER_WRONG', message);
    }
    if (!this.#isFinished) throw new SmallservdError('CONNECTION_LOST', `${this.#name} closed the connection`);
  }

  #silence(): SmallservdError {
    const waited = formatDuration(this.#settings.timeoutMs);
    const missing = this.#underWayBytes;
    const fault =
      missing > 0
        ? `${missing} of ${this.#sentBytes} bytes did not come back within ${waited}`
        : `all bytes came back, but the connection was not closed within ${waited}`;
    return new SmallservdError('NO_ANSWER', `${this.#name}: ${fault}`);
  }

  #lost(cause: SmallservdError): SmallservdError {
    const missing = this.#underWayBytes;
    const rest = missing === 0 ? '' : `; ${missing} of ${this.#sentBytes} bytes did not come back`;
    return new SmallservdError('CONNECTION_LOST', `${cause.message}${rest}`, { cause, outcome: cause.outcome });
  }

  get #underWayBytes(): number {
    return this.#sentBytes - this.#receivedBytes;
  }
}

async function echoOverUdp(
  target: Target,
  input: AsyncIterable<Uint8Array>,
  deliver: Deliver,
  settings: Settings,
): Promise<Echoed> {
  const { sizeBytes = 512, signal, family } = settings;
  assertWithin('the size of a datagram', sizeBytes, 1, largestDatagramBytes.ipv6);
  const addresses = addressesFor(sizeBytes, await resolveHost(target.host, family, settings));
  const pieces = cut(input, sizeBytes)[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<Uint8Array, void>> => untilInterrupted(pieces.next(), signal);
  let piece: IteratorResult<Uint8Array, void> | undefined;
  let bytes = 0;
  return firstToTake(
    addresses,
    async (address) => {
      const exchange = await DatagramEcho.open(address, target.port, settings);
      try {
        settings.connected?.(exchange.peer);
        // If an address refuses a datagram, it goes to the next address.
        piece ??= await next();
        while (piece.done !== true) {
          const answer = await exchange.ask(piece.value, bytes);
          await untilInterrupted(Promise.resolve(deliver(answer)), signal);
          const offset = firstDifference(piece.value, answer);
          if (offset !== undefined) throw differs(exchange.name, bytes + offset);
          bytes += answer.length;
          piece = await next();
        }
        return { peer: exchange.peer, bytes };
      } finally {
        exchange.close();
      }
    },
    settings.attempts,
  );
}

/** Sends datagrams one at a time, each after the previous one has come back. */
class DatagramEcho {
  readonly name: string;
  readonly peer: Endpoint;
  readonly #settings: Settings;
  #socket: DatagramSocket | undefined;
  #previous: Uint8Array | undefined;
  #heard: (bytes: Uint8Array) => void = () => {};
  #refused: (error: SmallservdError) => void = () => {};

  private constructor(peer: Endpoint, settings: Settings) {
    this.peer = peer;
    this.name = formatHostPort(peer.address, peer.port);
    this.#settings = settings;
  }

  static async open(address: HostAddress, port: number, settings: Settings): Promise<DatagramEcho> {
    const exchange = new DatagramEcho({ address: address.address, port }, settings);
    exchange.#socket = await DatagramSocket.open(
      address,
      port,
      {
        datagram: (bytes) => exchange.#heard(bytes),
        failed: (error) => exchange.#refused(error),
      },
      settings.pathControls,
    );
    return exchange;
  }

  /**
   * Resolves with the answer to a datagram, ignoring a late copy of the previous one. Throws `NO_ANSWER`,
   * `CONNECT_FAILED` and, if the peer has answered before, `CONNECTION_LOST`.
   */
  async ask(bytes: Uint8Array, offset: number): Promise<Uint8Array> {
    const { clock } = this.#settings;
    let sent = 0;
    const late = (waited: string): SmallservdError => {
      const times = sent === 1 ? '' : `, sent ${sent} times,`;
      const what = `the datagram at offset ${offset}${times} did not come back within ${waited}`;
      return new SmallservdError('NO_ANSWER', `${this.name} is silent over UDP: ${what}`);
    };
    const answer = await waitFor<Uint8Array>(this.#settings, late, (resolve, reject) => {
      let cancel: Cancel | undefined;
      this.#heard = (heard) => {
        const isLate = this.#previous !== undefined && firstDifference(this.#previous, heard) === undefined;
        if (!isLate || firstDifference(bytes, heard) === undefined) resolve(heard);
      };
      this.#refused = (error) => {
        if (this.#previous === undefined) return reject(error);
        reject(new SmallservdError('CONNECTION_LOST', error.message, { cause: error, outcome: error.outcome }));
      };
      const send = (): void => {
        sent += 1;
        cancel = clock.after(againMs, send);
        this.#socket?.send(bytes).catch(this.#refused);
      };
      send();
      return () => {
        cancel?.();
        this.#heard = () => {};
        this.#refused = () => {};
      };
    });
    this.#previous = bytes;
    return answer;
  }

  close(): void {
    this.#socket?.close();
  }
}

/** Cuts the input into pieces of at most `sizeBytes`, without waiting to fill a piece: a person may be typing. */
async function* cut(input: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of input)
    for (let start = 0; start < chunk.length; start += sizeBytes) yield chunk.subarray(start, start + sizeBytes);
}

function differs(name: string, offset: number): SmallservdError {
  return new SmallservdError(
    'ANSWER_WRONG',
    `${name}: what came back differs from what was sent, from offset ${offset} on`,
  );
}
