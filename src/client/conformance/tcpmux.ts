import { type Check, type CheckContext, checksOf, Fault, Skip } from './check.ts';
import { expectEndOfLongLine, linesOf, query, queryAndFinish, receiveLine } from './query.ts';
import { expectBytes, expectFinish, withConnection } from './stream.ts';

const plus = 0x2b;
const lineFeed = 0x0a;

/** No one calls a service so. */
const unknownName = 'smallserv-conform-nothing';

/** RFC 1078. */
export const tcpmuxChecks: readonly Check[] = checksOf('tcpmux', 'tcp', [
  {
    name: 'help',
    fact: 'HELP is answered with the names of the services, one per line, each ending with CR LF, then FIN',
    async run(context) {
      const answer = await query(context, 'HELP\r\n');
      expectFinish(answer);
      linesOf(answer.bytes);
    },
  },
  {
    name: 'split',
    fact: 'a name may arrive in several packets',
    async run(context) {
      const { bytes } = await query(context, 'HELP\r\n');
      expectBytes((await query(context, 'HE', 'LP\r', '\n')).bytes, bytes, 'the answer to HELP');
    },
  },
  {
    name: 'unknown',
    fact: 'an unknown name is answered with "-", a text and CR LF, then FIN',
    async run(context) {
      const answer = await query(context, `${unknownName}\r\n`);
      const lines = linesOf(answer.bytes);
      if (lines.length !== 1 || lines[0]?.startsWith('-') !== true) throw new Fault('one line with "-"', answer.bytes);
      expectFinish(answer);
    },
  },
  {
    name: 'known',
    fact: 'a name of the list is answered with "+", a text and CR LF, and no NUL',
    run: async (context) => expectAccepted(context, await firstName(context)),
  },
  {
    name: 'case',
    fact: 'names are not case-sensitive',
    async run(context) {
      const name = await firstName(context);
      const [lower, upper] = [name.toLowerCase(), name.toUpperCase()];
      await expectAccepted(context, name === upper ? lower : upper);
    },
  },
  {
    name: 'half-close',
    basis: 'safety',
    fact: "after the client's FIN, the rest of the answer is still sent",
    async run(context) {
      const { bytes } = await query(context, 'HELP\r\n');
      const answer = await queryAndFinish(context, 'HELP\r\n');
      expectBytes(answer.bytes, bytes, 'the answer to HELP');
      expectFinish(answer);
    },
  },
  {
    name: 'long-line',
    basis: 'safety',
    fact: 'a name without an end does not hold the connection open',
    run: expectEndOfLongLine,
  },
]);

/** Throws `Skip` if there is none, or HELP is refused. */
async function firstName(context: CheckContext): Promise<string> {
  const text = Buffer.from((await query(context, 'HELP\r\n')).bytes).toString('latin1');
  const name = /^[!-~]+/.exec(text)?.[0];
  if (name === undefined || name.startsWith('-')) throw new Skip('HELP lists no service');
  return name;
}

/** Looks at the first line only. What follows is the service's. */
async function expectAccepted(context: CheckContext, name: string): Promise<void> {
  const bytes = await withConnection(context, async (connection) => {
    await connection.write(`${name}\r\n`);
    return receiveLine(connection);
  });
  if (bytes[0] !== plus) throw new Fault(`"+" for ${name}`, bytes);
  linesOf(bytes.subarray(0, bytes.indexOf(lineFeed) + 1));
}
