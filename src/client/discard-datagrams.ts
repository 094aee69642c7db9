import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Endpoint } from './dial/connection.ts';
import { DatagramSocket } from './dial/datagram-socket.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { type HostAddress, resolveHost } from './dial/resolve-host.ts';
import type { Target } from './dial/target.ts';
import { comesWithin, onAbort, type Patience, throwIfInterrupted } from './dial/wait.ts';
import type { Discarded, DiscardOptions } from './discarded.ts';
import { addressesFor, assertWithin, largestDatagramBytes, type PathControls, withDefaults } from './options.ts';
import { Meter } from './transfer.ts';

const defaultDatagramBytes = 512;

/**
 * How long to wait for a refusal or an unexpected answer: after the first datagram to an address that has alternatives,
 * and after the last datagram.
 */
const refusalMs = 500;

/** The UDP part of `discard`. Uses the first address of a name that does not refuse. */
export async function discardDatagrams(target: Target, source: Readable, options: DiscardOptions): Promise<Discarded> {
  const { datagramBytes = defaultDatagramBytes } = options;
  assertWithin('the size of a datagram', datagramBytes, 1, largestDatagramBytes.ipv6);
  const patient = withDefaults(options);
  const addresses = addressesFor(datagramBytes, await resolveHost(target.host, patient.family, patient));
  const meter = new Meter(options.clock);
  const stopReport = meter.report(options);
  let line: Line | undefined;
  let datagrams = 0;
  const result = (end: Discarded['end']): Discarded => {
    const peer = line?.peer ?? { address: addresses[0].address, port: target.port };
    return { ...meter.transfer, end, datagrams, peer };
  };
  const stopListening = onAbort(options.signal, () => source.destroy());
  try {
    for await (const datagram of piecesOf(source, datagramBytes)) {
      if (line === undefined) {
        line = await openLine(addresses, target.port, datagram, patient);
        // Waiting for refusals does not count as sending time.
        meter.begin();
      } else await line.send(datagram);
      meter.bytes += datagram.length;
      datagrams += 1;
      // The kernel accepts datagrams without pause, so let refusals and interruptions in.
      await setImmediate();
      throwIfInterrupted(options.signal);
      if (line.isAnswered) return result('answered');
    }
    const { transfer } = meter;
    await line?.listen(patient);
    return { ...result(line?.isAnswered === true ? 'answered' : 'sent'), ...transfer };
  } catch (error) {
    if (options.signal?.aborted === true) return result('interrupted');
    throw error;
  } finally {
    stopListening();
    stopReport();
    line?.close();
  }
}

/** Sends the first datagram to each address in turn until one does not refuse it. Throws `CONNECT_FAILED` if all do. */
async function openLine(
  addresses: readonly HostAddress[],
  port: number,
  first: Uint8Array,
  patience: Patience & Pick<DiscardOptions, 'attempts' | 'pathControls'>,
): Promise<Line> {
  return firstToTake(
    addresses,
    async (address) => {
      const line = new Line();
      try {
        await line.open(address, port, patience.pathControls);
        await line.send(first);
        // With no alternative, the refusal can come later.
        if (addresses.length > 1) await line.listen(patience);
        return line;
      } catch (error) {
        line.close();
        throw error;
      }
    },
    patience.attempts,
  );
}

/** A socket, with what the peer has sent or refused. */
class Line {
  isAnswered = false;
  #socket: DatagramSocket | undefined;
  #failure: Error | undefined;
  #failed: (error: Error) => void = () => {};

  get peer(): Endpoint | undefined {
    return this.#socket?.peer;
  }

  /** Throws `CONNECT_FAILED`. */
  async open(address: HostAddress, port: number, path?: PathControls): Promise<void> {
    this.#socket = await DatagramSocket.open(
      address,
      port,
      {
        datagram: () => {
          this.isAnswered = true;
        },
        failed: (error) => {
          this.#failure ??= error;
          this.#failed(error);
        },
      },
      path,
    );
  }

  /** Throws `CONNECT_FAILED`, also if an earlier datagram was refused. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#socket?.send(bytes);
  }

  /** Waits briefly for a refusal. Throws `CONNECT_FAILED`. */
  async listen(patience: Patience): Promise<void> {
    await comesWithin(patience, Math.min(refusalMs, patience.timeoutMs), (_resolve, reject) => {
      this.#failed = reject;
      if (this.#failure !== undefined) reject(this.#failure);
      return () => {};
    });
  }

  close(): void {
    this.#socket?.close();
  }
}

/** Cuts a stream into pieces of equal length. The last one may be shorter. */
async function* piecesOf(source: Readable, length: number): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % length);
    for (let begin = 0; begin < whole; begin += length) yield bytes.subarray(begin, begin + length);
    rest = bytes.subarray(whole);
  }
  if (rest.length > 0) yield rest;
}
