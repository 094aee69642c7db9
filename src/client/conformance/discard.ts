import type { Connection } from '../dial/connection.ts';
import { pause } from '../dial/wait.ts';
import { SmallservdError } from '../../errors.ts';
import { type Check, type CheckContext, checksOf, Fault } from './check.ts';
import { betweenDatagramsMs, Inbox } from './datagrams.ts';
import { expectFinish, overConnection, receiveAll } from './stream.ts';

const line = Buffer.from('discard this\r\n');
const megabyte = Buffer.alloc(1024 * 1024, line);

/** RFC 863. */
export const discardChecks: readonly Check[] = [
  ...checksOf('discard', 'tcp', [
    {
      name: 'silent',
      fact: 'it accepts all input, sends nothing and stays open',
      run: overConnection(async (connection, context) => {
        await connection.write(line);
        const bytes = await readFor(context, connection);
        if (bytes === 'nothing') return;
        throw new Fault('silence', bytes === undefined ? 'FIN' : bytes);
      }),
    },
    {
      name: 'half-close',
      basis: 'safety',
      fact: "a megabyte and the client's FIN are answered with FIN",
      run: overConnection(async (connection) => {
        await connection.write(megabyte);
        connection.finish();
        const received = await receiveAll(connection);
        if (received.bytes.length > 0) throw new Fault('no data', received.bytes);
        expectFinish(received);
      }),
    },
  ]),
  ...checksOf('discard', 'udp', [
    {
      name: 'silent',
      fact: 'no datagram is answered: empty, one line, 512 bytes',
      run: async (context) =>
        Inbox.with(context, async (inbox) => {
          for (const each of [Buffer.alloc(0), line, Buffer.alloc(512, line)]) {
            await inbox.send(each);
            await pause(context, betweenDatagramsMs);
          }
          const [first] = await inbox.quiet();
          if (first !== undefined) throw new Fault('silence', first);
        }),
    },
  ]),
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
