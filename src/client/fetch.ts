import { ask } from './dial/ask.ts';
import { Connection, type Endpoint, type Received } from './dial/connection.ts';
import { parseTarget } from './dial/target.ts';
import { type EitherProtocolOptions, withDefaults } from './options.ts';

/** The answer of a service that needs no request, over either protocol. */
export interface Fetched {
  readonly bytes: Uint8Array;
  /** How the answer ended. A datagram is always complete. */
  readonly end: Received['end'];
  readonly peer: Endpoint;
  /** The local wall clock when the first bytes arrived. */
  readonly answeredAt: Date;
  /** Milliseconds from the request, or over TCP from the connection, to the first bytes. */
  readonly rttMs: number;
}

export interface FetchOptions extends EitherProtocolOptions {
  /** Over UDP, the answer may be a list of several datagrams. Default false: only the first counts. */
  readonly isList?: boolean | undefined;
}

/** The most to read from a server that does not stop sending. */
const limit = 64 * 1024;
/** The first request is empty. Retries are longer, for servers that limit the answer to the size of the request. */
const empty = Buffer.alloc(0);
const laterRequest = Buffer.alloc(512, '\n');
/** Such a server would silently truncate a list, so the first request already fills a packet. */
const listRequest = Buffer.alloc(1400, '\n');
/** The datagrams of a list arrive in quick succession. */
const listQuietMs = 250;

/** Queries a service that needs no request: daytime, time, qotd, systat. Throws what `Connection` and `ask` throw. */
export async function fetchFrom(host: string, service: string, options: FetchOptions): Promise<Fetched> {
  const patient = withDefaults(options);
  const { clock, isList = false } = patient;
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
