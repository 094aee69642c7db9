import { SmallservdError } from '../../errors.ts';
import type { Connection } from '../dial/connection.ts';
import { describeBytes } from './bytes.ts';
import { type Check, type CheckContext, Fault } from './check.ts';
import { Inbox } from './datagrams.ts';
import { betweenDatagramsMs, pause } from './pause.ts';
import { expectFinish, receiveAll, withConnection } from './stream.ts';

const common = { service: 'discard', basis: 'RFC 863' } as const;
const line = Buffer.from('discard this\r\n');
const megabyte = Buffer.alloc(1024 * 1024, line);

/** RFC 863. */
export const discardChecks: readonly Check[] = [
  {
    ...common,
    id: 'discard.tcp.silent',
    transport: 'tcp',
    fact: 'it takes what comes, sends nothing and stays open',
    run: async (context) =>
      withConnection(context, async (connection) => {
        await connection.write(line);
        const bytes = await readFor(context, connection);
        if (bytes === 'nothing') return;
        throw new Fault('silence', bytes === undefined ? 'FIN' : describeBytes(bytes), bytes);
      }),
  },
  {
    ...common,
    id: 'discard.tcp.half-close',
    transport: 'tcp',
    basis: 'safety',
    fact: "a megabyte and the client's FIN are answered with FIN",
    run: async (context) =>
      withConnection(context, async (connection) => {
        await connection.write(megabyte);
        connection.finish();
        const received = await receiveAll(connection);
        if (received.bytes.length > 0) throw new Fault('no byte', describeBytes(received.bytes), received.bytes);
        expectFinish(received);
      }),
  },
  {
    ...common,
    id: 'discard.udp.silent',
    transport: 'udp',
    fact: 'no datagram is answered: empty, one line, 512 bytes',
    run: async (context) =>
      Inbox.with(context, async (inbox) => {
        for (const each of [Buffer.alloc(0), line, Buffer.alloc(512, line)]) {
          await inbox.send(each);
          await pause(context, betweenDatagramsMs);
        }
        const [first] = await inbox.quiet();
        if (first !== undefined) throw new Fault('silence', describeBytes(first), first);
      }),
  },
];

/** Reads while silence is expected. Returns undefined for FIN. */
async function readFor(context: CheckContext, connection: Connection): Promise<Uint8Array | undefined | 'nothing'> {
  try {
    return await connection.read(context.quietMs);
  } catch (error) {
    if (error instanceof SmallservdError && error.code === 'NO_ANSWER') return 'nothing';
    throw error;
  }
}
