import { Connection, type Received } from '../dial/connection.ts';
import { SmallservdError } from '../../errors.ts';
import { firstDifference } from '../first-difference.ts';
import { describeBytes } from './bytes.ts';
import { type CheckContext, Fault } from './check.ts';

/** The most to read from a server that does not stop sending. */
const answerLimit = 64 * 1024;

/** Runs `talk` with a new connection and closes it afterwards. */
export async function withConnection<Value>(
  context: CheckContext,
  talk: (connection: Connection) => Promise<Value>,
): Promise<Value> {
  const connection = await Connection.open({ host: context.address.address, port: context.port }, context);
  try {
    return await talk(connection);
  } finally {
    connection.destroy();
  }
}

/** Makes the `run` of a check that talks over a new connection. */
export function overConnection(
  talk: (connection: Connection, context: CheckContext) => Promise<void>,
): (context: CheckContext) => Promise<void> {
  return async (context) => withConnection(context, async (connection) => talk(connection, context));
}

/** Reads to the peer's end. An end without data is not an error, but a reset or silence is. */
export async function receiveAll(connection: Connection): Promise<Received> {
  return connection.readAll(answerLimit);
}

/** Reads until `length` bytes have arrived or the peer has ended. The result may be longer. */
export async function receive(connection: Connection, length: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let received = 0;
  try {
    while (received < length) {
      const chunk = await connection.read();
      if (chunk === undefined) break;
      chunks.push(chunk);
      received += chunk.length;
    }
  } catch (error) {
    if (received === 0 || !isPeersFault(error)) throw error;
  }
  return Buffer.concat(chunks);
}

/** Throws `Fault` unless the bytes match. */
export function expectBytes(seen: Uint8Array, expected: Uint8Array, what: string): void {
  const at = firstDifference(seen, expected);
  if (at === undefined) return;
  const rest = seen.subarray(at);
  const where = at === 0 ? describeBytes(rest) : `${describeBytes(rest)} from byte ${at} on`;
  throw new Fault(what, rest.length === 0 ? `only ${seen.length} of ${expected.length} bytes` : where, seen);
}

/** Throws `Fault` unless the peer has ended with FIN. */
export function expectFinish({ bytes, end }: Received): void {
  if (end === 'finished') return;
  const seen = { reset: 'a reset', limit: 'endless data', timeout: 'a connection that stays open' }[end];
  throw new Fault('FIN after the answer', `${seen} after ${describeBytes(bytes)}`, bytes);
}

/** Whether the peer caused the error, rather than our own interruption. */
export function isPeersFault(error: unknown): error is SmallservdError {
  return error instanceof SmallservdError && error.code !== 'INTERRUPTED';
}
