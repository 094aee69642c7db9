import { systemClock } from '../clock/clock.ts';
import { ask } from './dial/ask.ts';
import { Connection, type Endpoint, type Received } from './dial/connection.ts';
import { parseTarget } from './dial/target.ts';
import { type EitherProtocolOptions, withDefaults } from './options.ts';

/** What a service answers to whoever asks, over either protocol. */
export interface Fetched {
  readonly bytes: Uint8Array;
  /** How the answer ended; a datagram is whole. */
  readonly end: Received['end'];
  /** Who answered. */
  readonly peer: Endpoint;
  /** The wall clock of this machine when the first bytes came. */
  readonly answeredAt: Date;
  /** Milliseconds from the request, over TCP from the connection, to the first bytes. */
  readonly rttMs: number;
}

export interface FetchOptions extends EitherProtocolOptions {
  /** Over UDP the answer may be a list of several datagrams. Default false: the first is all. */
  readonly isList?: boolean | undefined;
}

/** Of a server that goes on and on, so much is read. */
const limit = 64 * 1024;
/** The first datagram is empty; servers that answer only so much for so little get more to go by afterwards. */
const empty = Buffer.alloc(0);
const laterRequest = Buffer.alloc(512, '\n');
/** Such a server would cut a list without a word: it gets as much as fits a packet from the start. */
const listRequest = Buffer.alloc(1400, '\n');
/** The datagrams of a list follow each other at once. */
const listQuietMs = 250;

/** Asks a service that answers by itself: daytime, time, qotd, systat. Throws what `Connection` and `ask` throw. */
export async function fetchFrom(host: string, service: string, options: FetchOptions): Promise<Fetched> {
  const { clock = systemClock, isList = false } = options;
  const patient = withDefaults(options);
  if (options.udp === true) {
    const target = parseTarget(host, 'udp', service);
    const request = (attempt: number): Uint8Array => (isList ? listRequest : attempt === 0 ? empty : laterRequest);
    const quietMs = isList ? listQuietMs : undefined;
    const { bytes, further, peer, rttMs, answeredAt } = await ask(target, request, { ...patient, quietMs });
    return { bytes: Buffer.concat([bytes, ...further]), end: 'finished', peer, answeredAt, rttMs };
  }
  const connection = await Connection.open(parseTarget(host, 'tcp', service), patient);
  try {
    const beganMs = clock.monotonicMs();
    const { bytes, end, firstAtMs } = await connection.readAll(limit);
    const answeredAt = new Date(clock.now().getTime() - (clock.monotonicMs() - firstAtMs));
    return { bytes, end, peer: connection.peer, answeredAt, rttMs: firstAtMs - beganMs };
  } finally {
    connection.destroy();
  }
}
