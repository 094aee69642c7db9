import { ask } from './dial/ask.ts';
import { Connection, type Endpoint, type Received } from './dial/connection.ts';
import { parseTarget } from './dial/target.ts';
import { startTimeout } from './dial/wait.ts';
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
  /** Over UDP, the size of the last request before the answer. Above 0, an empty one had no answer within a second. */
  readonly requestBytes?: number | undefined;
}

export interface FetchOptions extends EitherProtocolOptions {
  /** Over UDP, the answer may be a list of several datagrams. Default false: only the first counts. */
  readonly isList?: boolean | undefined;
  /** The most to read from a server that does not stop sending. Default 64 KiB. */
  readonly limitBytes?: number | undefined;
}

/**
 * The first request is empty. Some networks drop empty datagrams, so the second is not. Later ones are longer, for
 * servers that limit the answer to the size of the request.
 */
const requests = [Buffer.alloc(0), Buffer.from('\n'), Buffer.alloc(512, '\n')] as const;
/** Such a server would silently truncate a list, so the first request already fills a packet. */
const listRequest = Buffer.alloc(1400, '\n');
/** The datagrams of a list arrive in quick succession. */
const listQuietMs = 250;

/** Queries a service that needs no request: daytime, time, qotd, systat. Throws what `Connection` and `ask` throw. */
export async function fetchFrom(host: string, service: string, options: FetchOptions): Promise<Fetched> {
  const patient = startTimeout(withDefaults(options));
  const { clock, isList = false, limitBytes = 64 * 1024 } = patient;
  if (options.udp === true) {
    const target = parseTarget(host, 'udp', service);
    const request = (attempt: number): Uint8Array => (isList ? listRequest : (requests[attempt] ?? requests[2]));
    const quietMs = isList ? listQuietMs : undefined;
    const answer = await ask(target, request, { ...patient, quietMs });
    const { peer, rttMs, answeredAt } = answer;
    const bytes = Buffer.concat([answer.bytes, ...answer.further]);
    return { bytes, end: 'finished', peer, answeredAt, rttMs, requestBytes: request(answer.attempts - 1).length };
  }
  const connection = await Connection.open(parseTarget(host, 'tcp', service), patient);
  try {
    const beganMs = clock.monotonicMs();
    const { bytes, end, firstAtMs } = await connection.readAll(limitBytes);
    const answeredAt = new Date(clock.now().getTime() - (clock.monotonicMs() - firstAtMs));
    return { bytes, end, peer: connection.peer, answeredAt, rttMs: firstAtMs - beganMs };
  } finally {
    connection.destroy();
  }
}
