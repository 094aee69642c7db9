import { formatHostPort } from '../address/host-port.ts';
import { ask } from './dial/ask.ts';
import { Connection, endOf, type Endpoint } from './dial/connection.ts';
import { parseTarget } from './dial/target.ts';
import { startTimeout, untilInterrupted } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import { checkDatagram, type Deviation, PatternCheck } from './chargen-pattern.ts';
import { assertWithin, type EitherProtocolOptions, withDefaults } from './options.ts';
import { Meter, type ProgressOptions, type Transfer, transferOf } from './transfer.ts';

export interface ChargenOptions extends EitherProtocolOptions, ProgressOptions {
  /**
   * Stop after this many bytes or lines, at least 1. Default: 10 lines. A line has at most 64 KiB. A datagram is never
   * cut.
   */
  readonly bytes?: number | undefined;
  readonly lines?: number | undefined;
  /** Compare with the pattern of RFC 864 and stop at the first deviation. Default false. */
  readonly verify?: boolean | undefined;
  /** Receives the data. The next read waits until it resolves. */
  readonly onBytes?: ((bytes: Uint8Array) => Promise<void>) | undefined;
}

export interface Chargen extends Transfer {
  /**
   * `enough`: everything requested arrived. `deviation`: the data differs from the pattern. `endless-line`: lines were
   * requested, and one is longer than 64 KiB. Otherwise the stream ended early through the peer's FIN (`finished`) or
   * RST (`reset`), silence (`timeout`), or the caller's signal (`interrupted`).
   */
  readonly end: 'enough' | 'deviation' | 'endless-line' | 'finished' | 'reset' | 'timeout' | 'interrupted';
  readonly deviation: Deviation | undefined;
  readonly peer: Endpoint;
}

const defaultLines = 10;

/** Lines of RFC 864 have 72 characters. A server that never ends its line would otherwise be read forever. */
export const mostLineBytes = 64 * 1024;

/**
 * Reads part of the endless character stream (RFC 864), over UDP one datagram. `host` is `HOST` or `HOST:PORT`. Throws
 * `ARGUMENT_INVALID` if both bytes and lines are given, either is given over UDP, or the number is 0. If nothing
 * arrives at all, throws `ANSWER_WRONG` and what every client throws.
 */
export async function chargen(host: string, options: ChargenOptions = {}): Promise<Chargen> {
  const { bytes, lines, udp = false } = options;
  if (bytes !== undefined && lines !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', 'chargen takes --bytes or --lines, not both');
  if (udp && (bytes !== undefined || lines !== undefined))
    throw new SmallservdError('ARGUMENT_INVALID', '--bytes and --lines do not apply to chargen over UDP');
  assertWithin('the number of bytes', bytes ?? 1, 1, Number.MAX_SAFE_INTEGER);
  assertWithin('the number of lines', lines ?? 1, 1, Number.MAX_SAFE_INTEGER);
  return udp ? takeDatagram(host, options) : takeStream(host, options);
}

async function takeStream(host: string, options: ChargenOptions): Promise<Chargen> {
  const patient = startTimeout(withDefaults(options));
  const connection = await Connection.open(parseTarget(host, 'tcp', 'chargen'), patient);
  const meter = new Meter(options.clock);
  const stopReport = meter.report(options);
  const wanted = new Wanted(options);
  const check = options.verify === true ? new PatternCheck() : undefined;
  const result = (end: Chargen['end'], deviation?: Deviation): Chargen => ({
    ...meter.transfer,
    end,
    deviation,
    peer: connection.peer,
  });
  try {
    while (!wanted.isReached) {
      const came = await readOrEnd(connection, meter.bytes > 0, patient.timeoutMs);
      if (typeof came === 'string') return result(came);
      const bytes = wanted.take(came);
      meter.bytes += bytes.length;
      const deviation = check?.check(bytes);
      if (deviation !== undefined) return result('deviation', deviation);
      if (options.onBytes !== undefined) await untilInterrupted(options.onBytes(bytes), options.signal);
      if (wanted.isLineTooLong) return result('endless-line');
    }
    return result('enough');
  } catch (error) {
    if (meter.bytes > 0 && endOf(error) === 'interrupted') return result('interrupted');
    throw error;
  } finally {
    stopReport();
    connection.destroy();
  }
}

/** The next bytes, or how the stream ended. Throws if it ended before any data. */
async function readOrEnd(
  connection: Connection,
  hasBegun: boolean,
  timeoutMs: number,
): Promise<Uint8Array | Chargen['end']> {
  try {
    // The first shares the timeout of the connection.
    const bytes = await connection.read(hasBegun ? timeoutMs : undefined);
    if (bytes === undefined && !hasBegun) {
      const { address, port } = connection.peer;
      throw new SmallservdError('ANSWER_WRONG', `${formatHostPort(address, port)} closed without sending anything`);
    }
    return bytes ?? 'finished';
  } catch (error) {
    const end = endOf(error);
    if (hasBegun && end !== undefined) return end;
    throw error;
  }
}

async function takeDatagram(host: string, options: ChargenOptions): Promise<Chargen> {
  const target = parseTarget(host, 'udp', 'chargen');
  // Long enough that servers limiting answers to the size of the request can send a full datagram.
  const { bytes, peer, rttMs } = await ask(target, () => Buffer.alloc(512, '\n'), withDefaults(options));
  const deviation = options.verify === true ? checkDatagram(bytes) : undefined;
  if (deviation === undefined) await options.onBytes?.(bytes);
  return { ...transferOf(bytes.length, rttMs), end: deviation === undefined ? 'enough' : 'deviation', deviation, peer };
}

/** Tracks how much of the stream is still wanted. */
class Wanted {
  #bytes: number;
  #lines: number;
  /** Of the line that has not ended yet. */
  #lineBytes = 0;

  constructor({ bytes, lines }: ChargenOptions) {
    this.#bytes = bytes ?? Infinity;
    this.#lines = bytes === undefined ? (lines ?? defaultLines) : Infinity;
  }

  get isReached(): boolean {
    return this.#bytes <= 0 || this.#lines <= 0;
  }

  get isLineTooLong(): boolean {
    return this.#lineBytes > mostLineBytes;
  }

  /** Returns the part of the next bytes that is wanted. */
  take(came: Uint8Array): Uint8Array {
    const bytes = came.subarray(0, Math.min(this.#bytes, this.#lengthOfLines(came)));
    this.#bytes -= bytes.length;
    return bytes;
  }

  #lengthOfLines(bytes: Uint8Array): number {
    if (this.#lines === Infinity) return bytes.length;
    let length = 0;
    while (this.#lines > 0 && length < bytes.length) {
      const lineEnd = bytes.indexOf(0x0a, length);
      const end = lineEnd < 0 ? bytes.length : lineEnd + 1;
      this.#lineBytes += end - length;
      length = end;
      if (this.isLineTooLong || lineEnd < 0) break;
      this.#lineBytes = 0;
      this.#lines -= 1;
    }
    return length;
  }
}
