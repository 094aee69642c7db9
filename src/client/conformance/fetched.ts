import type { Received } from '../dial/connection.ts';
import { pause } from '../dial/wait.ts';
import { answeringChecks } from './answering.ts';
import { describeBytes, isPrintable } from './bytes.ts';
import {
  type Check,
  type CheckContext,
  type CheckedService,
  checksOf,
  type Fact,
  Fault,
  Skip,
  type Transport,
} from './check.ts';
import { askFor } from './datagrams.ts';
import { expectFinish, receiveAll, withConnection } from './stream.ts';

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const empty = Buffer.alloc(0);
/** More than a server that reads input at all takes in one read, and less than the windows hold. */
const unread = Buffer.alloc(4096, 'unread\r\n');

/** A fact about the answer. `judge` throws `Fault` if it does not hold, and `Skip` if it cannot tell. */
type AnswerFact = Pick<Fact, 'name' | 'fact'> & {
  readonly judge: (bytes: Uint8Array, context: CheckContext) => void;
};

/** All checks of a service that sends one answer without being asked, whose answers have these facts. */
export function fetchedChecks(
  service: CheckedService,
  facts: (transport: Transport) => readonly AnswerFact[],
): readonly Check[] {
  const answerChecks = (transport: Transport): readonly Check[] =>
    checksOf(
      service,
      transport,
      facts(transport).map(({ judge, ...names }) => ({
        ...names,
        async run(context) {
          const bytes = transport === 'tcp' ? (await readAnswer(context)).bytes : await askFor(context, empty);
          judge(bytes, context);
          assertAnswer(bytes);
        },
      })),
    );
  return [...answerChecks('tcp'), ...closingChecks(service), ...answerChecks('udp'), ...answeringChecks(service, 2)];
}

/** The character set that the RFCs of daytime, qotd and systat recommend in the same words. */
export const printingCharacters: AnswerFact = {
  name: 'characters',
  fact: 'printing ASCII characters, space, CR and LF, and nothing else',
  judge(bytes) {
    const at = bytes.findIndex((byte) => !isPrintable(byte) && byte !== carriageReturn && byte !== lineFeed);
    if (at < 0) return;
    const bad = bytes.subarray(at, at + 1);
    throw new Fault('printing characters only', `${describeBytes(bad)} at ${at} of ${describeBytes(bytes)}`, bytes);
  },
};

function closingChecks(service: CheckedService): readonly Check[] {
  return checksOf(service, 'tcp', [
    {
      name: 'closes',
      fact: 'it sends its answer and closes',
      async run(context) {
        const answer = await readAnswer(context);
        expectFinish(answer);
        assertAnswer(answer.bytes);
      },
    },
    {
      name: 'half-close',
      basis: 'safety',
      fact: "after the client's FIN, the rest of the answer is still sent",
      async run(context) {
        const answer = await withConnection(context, async (connection) => {
          connection.finish();
          return receiveAll(connection);
        });
        expectFinish(answer);
        await expectAnswer(context, answer);
      },
    },
    {
      name: 'unread-input',
      basis: 'safety',
      fact: 'despite 4 KiB of unread input it sends its answer and FIN, and no reset',
      async run(context) {
        const answer = await withConnection(context, async (connection) => {
          await connection.write(unread);
          const received = await receiveAll(connection);
          expectFinish(received);
          // The reset is sent when the input reaches a closed socket, one round trip after the FIN.
          await pause(context, context.quietMs);
          if (!(await connection.isResetAfterFinish())) return received;
          const { bytes } = received;
          throw new Fault('FIN and no reset', `a reset after FIN, after ${describeBytes(bytes)}`, bytes);
        });
        await expectAnswer(context, answer);
      },
    },
  ]);
}

async function readAnswer(context: CheckContext): Promise<Received> {
  return withConnection(context, receiveAll);
}

/** Throws `Fault` if there is no answer here although other requests get one. */
async function expectAnswer(context: CheckContext, { bytes }: Received): Promise<void> {
  if (bytes.length > 0) return;
  const usual = (await readAnswer(context)).bytes;
  if (usual.length > 0) throw new Fault(`the usual answer: ${describeBytes(usual)}`, 'FIN without the answer');
  assertAnswer(bytes);
}

/** Throws `Skip` if there is nothing to check. */
function assertAnswer(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new Skip('no answer to check');
}
