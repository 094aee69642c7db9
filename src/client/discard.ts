import type { Readable } from 'node:stream';
import { formatHostPort } from '../address/host-port.ts';
import { Connection, endOf } from './dial/connection.ts';
import { parseTarget } from './dial/target.ts';
import { foreverMs, type Patience, waitFor } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import { discardDatagrams } from './discard-datagrams.ts';
import type { Discarded, DiscardOptions } from './discarded.ts';
import { withDefaults } from './options.ts';
import { Meter, type Transfer } from './transfer.ts';

/** More than the buffers along the path can hold once the local kernel has accepted the last byte. */
const bufferedBytes = 16 * 1024 * 1024;

/**
 * Sends all of `source` to be discarded (RFC 863), then FIN, and waits for the peer's end. The wait is the timeout plus
 * the time that data still in buffers needs at the rate so far. `host` is `HOST` or `HOST:PORT`. Always destroys the
 * source. Throws `ARGUMENT_INVALID` for a size out of range, the errors of connecting, `CONNECT_FAILED` if datagrams
 * are refused over UDP, and the errors of the source.
 */
export async function discard(host: string, source: Readable, options: DiscardOptions = {}): Promise<Discarded> {
  try {
    if (options.udp === true) return await discardDatagrams(parseTarget(host, 'udp', 'discard'), source, options);
    const connection = await Connection.open(parseTarget(host, 'tcp', 'discard'), withDefaults(options));
    return await discardStream(connection, source, options);
  } finally {
    source.destroy();
  }
}

async function discardStream(connection: Connection, source: Readable, options: DiscardOptions): Promise<Discarded> {
  const meter = new Meter(options.clock);
  const stopReport = meter.report(options);
  let heard: Discarded['end'] | undefined;
  const ended = listen(connection).then((end) => {
    heard = end;
    // A source still waiting for input would delay the report.
    source.destroy();
    return end;
  });
  const result = (end: Discarded['end']): Discarded => ({
    ...meter.transfer,
    end,
    datagrams: undefined,
    peer: connection.peer,
  });
  try {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      await connection.write(chunk);
      meter.bytes += chunk.length;
    }
    if (heard !== undefined) return result(heard);
    connection.finish();
    const late = lateAt(connection.peer);
    const end = await waitFor<Discarded['end']>(patienceForRest(meter.transfer, options), late, (resolve, reject) => {
      ended.then(resolve, reject);
      return () => {};
    });
    return result(end === 'finished' ? 'discarded' : end);
  } catch (error) {
    const end = endOf(error);
    if (heard !== undefined) return result(heard);
    if (end !== undefined) return result(end);
    throw error;
  } finally {
    stopReport();
    connection.destroy();
  }
}

/** With a slow peer or line, megabytes can still be queued, with no way to see their progress. */
function patienceForRest({ bytes, elapsedMs }: Transfer, options: DiscardOptions): Patience {
  const { timeoutMs, ...rest } = withDefaults(options);
  const share = bytes > bufferedBytes ? bufferedBytes / bytes : 1;
  return { ...rest, timeoutMs: timeoutMs + elapsedMs * share };
}

function lateAt({ address, port }: Connection['peer']): (waited: string) => SmallservdError {
  const peer = formatHostPort(address, port);
  return (waited) => new SmallservdError('NO_ANSWER', `${peer}: connection not closed within ${waited}`);
}

/** Resolves with how the peer ends the connection, or with `answered` if it sends data. */
async function listen(connection: Connection): Promise<Discarded['end']> {
  try {
    // No timeout: the peer has nothing to send until we have finished.
    return (await connection.read(foreverMs)) === undefined ? 'finished' : 'answered';
  } catch (error) {
    return endOf(error) ?? 'reset';
  }
}
