import { pause } from '../dial/wait.ts';
import { answeringChecks } from './answering.ts';
import { describeBytes } from './bytes.ts';
import { type Check, type CheckContext, checksOf, type Fact, Fault, Skip } from './check.ts';
import { askFor, betweenDatagramsMs, Inbox } from './datagrams.ts';
import { expectBytes, expectFinish, isPeersFault, overConnection, receive, receiveAll } from './stream.ts';

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
/** Telnet: interrupt process, data mark, do timing mark. */
const telnetCommands = Buffer.from([0xff, 0xf4, 0xff, 0xf2, 0xff, 0xfd, 0x06]);
const allSorts = Buffer.concat([Buffer.from('line\r\n\r\0\n'), telnetCommands, everyByte]);

/** The most bytes to have in flight. It fits into two windows of any machine, so neither side waits for the other. */
const chunkLength = 32 * 1024;
const megabyte = Buffer.alloc(1024 * 1024, Buffer.concat([allSorts, Buffer.from('a length that divides nothing')]));

/** Datagram sizes: empty, one byte, RFC 1122's minimum, Ethernet's largest without fragmentation, IPv4's maximum. */
const lengths = [0, 1, 512, 1472, 8192, 65_507];

/** RFC 862. */
export const echoChecks: readonly Check[] = [
  ...checksOf('echo', 'tcp', [
    {
      name: 'bytes',
      fact: 'every byte comes back in order, including NUL and telnet commands',
      run: overConnection(async (connection) => {
        await connection.write(allSorts);
        expectBytes(await receive(connection, allSorts.length), allSorts, 'the bytes that were sent');
      }),
    },
    {
      name: 'megabyte',
      fact: 'a megabyte comes back, in order',
      run: overConnection(async (connection) => {
        for (let at = 0; at < megabyte.length; at += chunkLength) {
          const chunk = megabyte.subarray(at, at + chunkLength);
          await connection.write(chunk);
          expectBytes(await receive(connection, chunk.length), chunk, `the bytes that were sent from ${at} on`);
        }
      }),
    },
    {
      name: 'half-close',
      basis: 'safety',
      fact: "after the client's FIN the rest comes back, then FIN",
      run: overConnection(async (connection) => {
        const sent = megabyte.subarray(0, chunkLength);
        await connection.write(sent);
        connection.finish();
        const received = await receiveAll(connection);
        expectBytes(received.bytes, sent, 'the bytes that were sent');
        expectFinish(received);
      }),
    },
    {
      name: 'fin',
      fact: 'a FIN without data is answered with a FIN without data',
      run: overConnection(async (connection) => {
        connection.finish();
        const received = await receiveAll(connection);
        expectFinish(received);
        if (received.bytes.length > 0) throw new Fault('no data', received.bytes);
      }),
    },
  ]),
  ...checksOf('echo', 'udp', [
    ...lengths.map(
      (length): Fact => ({
        name: `length-${length}`,
        fact: `a datagram of ${length === 1 ? '1 byte' : `${length} bytes`} comes back unchanged`,
        run: async (context) => expectSame(context, Buffer.alloc(length, allSorts)),
      }),
    ),
    {
      name: 'content',
      fact: 'no datagram comes back twice or changed',
      run: async (context) =>
        Inbox.with(context, async (inbox) => {
          const sent = Array.from({ length: 5 }, (_, number) => Buffer.from(`datagram ${number}`));
          for (const each of sent) {
            await inbox.send(each);
            await pause(context, betweenDatagramsMs);
          }
          await inbox.collect(sent.length);
          const seen = (await inbox.quiet()).map((each) => Buffer.from(each).toString('latin1')).toSorted();
          // Losses are the subject of the burst check.
          const wanted = new Set(sent.map((each) => each.toString('latin1')));
          if (seen.length > 0 && seen.every((each) => wanted.delete(each))) return;
          const bytes = Buffer.from(seen.join(''), 'latin1');
          throw new Fault(`each of ${sent.length} datagrams at most once`, describeAnswers(seen, bytes), bytes);
        }),
    },
  ]),
  ...answeringChecks('echo', 2).filter(({ id }) => id !== 'echo.udp.empty' && id !== 'echo.udp.any'),
];

function describeAnswers(seen: readonly string[], bytes: Uint8Array): string {
  if (seen.length === 0) return 'no answer';
  if (seen.length === 1) return `an answer with other content: ${describeBytes(bytes)}`;
  const flaw = new Set(seen).size < seen.length ? 'some of them twice' : 'some with other content';
  return `${seen.length} answers, ${flaw}: ${describeBytes(bytes)}`;
}

async function expectSame(context: CheckContext, sent: Uint8Array): Promise<void> {
  let reply: Uint8Array;
  try {
    reply = await askFor(context, sent);
  } catch (error) {
    if (!isPeersFault(error)) throw error;
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'EMSGSIZE')
      throw new Skip('this machine cannot send a datagram of this size to the host');
    // Firewalls often drop fragments.
    const cut = sent.length > 1472 && error.code === 'NO_ANSWER' ? ' (a firewall may have dropped the fragments)' : '';
    throw new Fault('the same datagram', `${error.message}${cut}`);
  }
  expectBytes(reply, sent, `the same ${sent.length === 1 ? '1 byte' : `${sent.length} bytes`}`);
}
