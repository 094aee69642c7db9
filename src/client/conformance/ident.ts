import type { Received } from '../dial/connection.ts';
import { pause } from '../dial/wait.ts';
import { type Check, type CheckContext, checksOf, Fault, Skip } from './check.ts';
import { betweenDatagramsMs } from './datagrams.ts';
import { expectEndOfLongLine, linesOf, receiveLine } from './query.ts';
import { expectFinish, receiveAll, withConnection } from './stream.ts';

/** X is for others. */
const errors = /^(?:INVALID-PORT|NO-USER|HIDDEN-USER|UNKNOWN-ERROR|X[!-~]{1,63})$/;

/** RFC 1413. */
export const identChecks: readonly Check[] = checksOf('ident', 'tcp', [
  {
    name: 'reply',
    fact: 'a request is answered with its ports and USERID or ERROR, in one line that ends with CR LF',
    run: async (context) => expectReply(context, ([server, client]) => `${server} , ${client}`),
  },
  {
    name: 'spaces',
    fact: 'spaces in a request are optional',
    async run(context) {
      await expectReply(context, ([server, client]) => `${server},${client}`);
      await expectReply(context, ([server, client]) => ` ${server}  ,  ${client} `);
    },
  },
  {
    name: 'split',
    fact: 'a request may arrive in several packets',
    run: async (context) =>
      expectReply(
        context,
        ([server]) => `${server} ,`,
        ([, client]) => ` ${client}`,
      ),
  },
  {
    name: 'invalid-port',
    fact: 'a port that does not exist is answered with INVALID-PORT',
    async run(context) {
      const bytes = await withConnection(context, async (connection) => {
        await connection.write('0 , 65536\r\n');
        return receiveLine(connection);
      });
      const [line = ''] = linesOf(bytes);
      if (!/^\d+ *, *\d+ *: *ERROR *: *INVALID-PORT *$/.test(line)) throw new Fault('ERROR : INVALID-PORT', bytes);
    },
  },
  {
    name: 'half-close',
    basis: 'safety',
    fact: "after the client's FIN, the reply is still sent, then FIN",
    async run(context) {
      const { answer, ports } = await askAndFinish(context, 1);
      expectFinish(answer);
      if (answer.bytes.length === 0) throw new Fault('a reply', 'FIN without a reply');
      assertReply(answer.bytes, ports);
    },
  },
  {
    name: 'several',
    fact: 'each of two requests on one connection is answered, if the server takes more than one',
    async run(context) {
      const { answer, ports } = await askAndFinish(context, 2);
      const lines = linesOf(answer.bytes);
      for (const line of lines) assertReply(Buffer.from(`${line}\r\n`), ports);
      if (lines.length === 1) throw new Skip('it closes after one reply, which is allowed');
      if (lines.length !== 2) throw new Fault('2 replies', answer.bytes);
    },
  },
  {
    name: 'long-line',
    basis: 'safety',
    fact: 'a request without an end does not hold the connection open',
    run: expectEndOfLongLine,
  },
]);

/** The ports of a connection: the server's, then ours. */
type Ports = readonly [server: number, client: number];

/** Asks for the very connection that it asks over, which both sides agree on. */
async function expectReply(context: CheckContext, ...parts: readonly ((ports: Ports) => string)[]): Promise<void> {
  await withConnection(context, async (connection) => {
    const ports: Ports = [context.port, connection.local.port];
    for (const [index, part] of parts.entries()) {
      if (index > 0) await pause(context, betweenDatagramsMs);
      await connection.write(`${part(ports)}${index === parts.length - 1 ? '\r\n' : ''}`);
    }
    assertReply(await receiveLine(connection), ports);
  });
}

/** Sends the same request a number of times, then FIN. */
async function askAndFinish(context: CheckContext, times: number): Promise<{ answer: Received; ports: Ports }> {
  return withConnection(context, async (connection) => {
    const ports: Ports = [context.port, connection.local.port];
    await connection.write(`${ports[0]} , ${ports[1]}\r\n`.repeat(times));
    connection.finish();
    return { answer: await receiveAll(connection), ports };
  });
}

/** Throws `Fault` unless these bytes are one reply for these ports. */
function assertReply(bytes: Uint8Array, [server, client]: Ports): void {
  const [line = '', ...others] = linesOf(bytes);
  const says = /^(\d+) *, *(\d+) *: *(?:USERID *: *[!-9;-~]+ *:[ -~]+|ERROR *: *(\S+) *)$/.exec(line);
  if (says === null || others.length > 0) throw new Fault('one line with USERID or ERROR', bytes);
  if (Number(says[1]) !== server || Number(says[2]) !== client)
    throw new Fault(`a reply for ${server} , ${client}`, bytes);
  if (says[3] !== undefined && !errors.test(says[3])) throw new Fault('an error of RFC 1413', bytes);
}
