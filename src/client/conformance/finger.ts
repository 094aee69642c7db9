import { describeBytes } from './bytes.ts';
import { type Check, type CheckContext, checksOf, Fault, Skip } from './check.ts';
import { expectEndOfLongLine, linesOf, query, queryAndFinish } from './query.ts';
import { expectFinish } from './stream.ts';

/** No one is called so. */
const unknownUser = 'smallserv-conform';

/** RFC 1288. */
export const fingerChecks: readonly Check[] = checksOf('finger', 'tcp', [
  {
    name: 'list',
    fact: 'an empty query is answered with lines of printing characters that end with CR LF, then FIN',
    run: async (context) => expectText(context, '\r\n'),
  },
  {
    name: 'user',
    fact: 'so is a query for a user',
    run: async (context) => expectText(context, `${unknownUser}\r\n`),
  },
  {
    name: 'detail',
    fact: 'so is a query with /W',
    run: async (context) => expectText(context, `/W ${unknownUser}\r\n`),
  },
  {
    name: 'split',
    fact: 'a query may arrive in several packets',
    run: async (context) => expectText(context, '/W ', unknownUser, '\r', '\n'),
  },
  {
    name: 'half-close',
    basis: 'safety',
    fact: "after the client's FIN, the rest of the answer is still sent",
    async run(context) {
      const answer = await queryAndFinish(context, `${unknownUser}\r\n`);
      expectFinish(answer);
      if (answer.bytes.length === 0) throw new Fault('an answer', 'FIN without an answer');
    },
  },
  {
    name: 'forward',
    basis: 'safety',
    fact: 'a query for a user of another host is refused, not forwarded',
    async run(context) {
      // Of the server itself: a query that is forwarded harms no one else.
      const loopback = context.address.family === 'ipv4' ? '127.0.0.1' : '::1';
      const direct = Buffer.from((await query(context, `${unknownUser}\r\n`)).bytes).toString('latin1');
      const { bytes } = await query(context, `${unknownUser}@${loopback}\r\n`);
      const answer = Buffer.from(bytes).toString('latin1');
      if (answer === '') throw new Fault('a sentence', 'FIN without an answer');
      if (answer === direct) throw new Skip(`it answers the same without a host: ${describeBytes(bytes)}`);
      if (answer.includes(`[${loopback}]`) || answer.endsWith(direct)) throw new Fault('a refusal', bytes);
    },
  },
  {
    name: 'long-line',
    basis: 'safety',
    fact: 'a query without an end does not hold the connection open',
    run: expectEndOfLongLine,
  },
]);

async function expectText(context: CheckContext, ...parts: readonly string[]): Promise<void> {
  const answer = await query(context, ...parts);
  if (linesOf(answer.bytes).length === 0) throw new Fault('an answer', 'FIN without an answer');
  expectFinish(answer);
}
