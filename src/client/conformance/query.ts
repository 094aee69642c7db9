import type { Connection, Received } from '../dial/connection.ts';
import { pause } from '../dial/wait.ts';
import { SmallservdError } from '../../errors.ts';
import { isPrintable } from './bytes.ts';
import { type CheckContext, Fault } from './check.ts';
import { betweenDatagramsMs } from './datagrams.ts';
import { expectFinish, receive, receiveAll, withConnection } from './stream.ts';

const lineFeed = 0x0a;

/** More than a line of any of these protocols may have, without an end. */
const endless = Buffer.alloc(4096, 'x');

/** Sends the parts of a query, each in a packet of its own, and reads to the server's end. */
export async function query(context: CheckContext, ...parts: readonly string[]): Promise<Received> {
  return withConnection(context, async (connection) => {
    for (const [index, part] of parts.entries()) {
      if (index > 0) await pause(context, betweenDatagramsMs);
      await connection.write(part);
    }
    return receiveAll(connection);
  });
}

/** As `query`, with the client's FIN right behind it. */
export async function queryAndFinish(context: CheckContext, text: string): Promise<Received> {
  return withConnection(context, async (connection) => {
    await connection.write(text);
    connection.finish();
    return receiveAll(connection);
  });
}

/** Reads to the end of the first line, or of the stream. The result may be longer. */
export async function receiveLine(connection: Connection): Promise<Uint8Array> {
  let bytes: Uint8Array = new Uint8Array();
  while (!bytes.includes(lineFeed)) {
    const more = await receive(connection, 1);
    if (more.length === 0) break;
    bytes = Buffer.concat([bytes, more]);
  }
  return bytes;
}

/** Throws `Fault` unless the server ends the connection of a client whose line never ends. A reset is as good. */
export async function expectEndOfLongLine(context: CheckContext): Promise<void> {
  const received = await withConnection(context, async (connection) => {
    await connection.write(endless);
    return receiveAll(connection);
  }).catch((error: unknown) => {
    if (error instanceof SmallservdError && error.code === 'CONNECTION_LOST') return undefined;
    throw error;
  });
  if (received !== undefined && received.end !== 'reset') expectFinish(received);
}

/** The lines of an answer. Throws `Fault` unless all are printing ASCII and end with CR LF. */
export function linesOf(bytes: Uint8Array): readonly string[] {
  const text = Buffer.from(bytes).toString('latin1');
  const lines = text.split('\r\n');
  if (lines.pop() !== '') throw new Fault('lines that end with CR LF', bytes);
  if (!lines.every((line) => Buffer.from(line, 'latin1').every(isPrintable)))
    throw new Fault('lines of printing characters that end with CR LF', bytes);
  return lines;
}
