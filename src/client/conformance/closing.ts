import type { Received } from '../dial/connection.ts';
import { describeBytes } from './bytes.ts';
import { type Check, type CheckContext, type CheckedService, Fault } from './check.ts';
import { pause } from './pause.ts';
import { expectFinish, readAnswer, receiveAll, withConnection } from './stream.ts';

/** More than a server that reads input at all takes in one read, and less than the windows hold. */
const unread = Buffer.alloc(4096, 'unread\r\n');

/** Checks shared by all services that send one answer over TCP and close. */
export function closingChecks(service: CheckedService, rfc: Check['basis']): readonly Check[] {
  const common = { service, transport: 'tcp' } as const;
  return [
    {
      ...common,
      id: `${service}.tcp.closes`,
      basis: rfc,
      fact: 'it sends its answer and closes',
      async run(context) {
        expectFinish(await readAnswer(context));
      },
    },
    {
      ...common,
      id: `${service}.tcp.half-close`,
      basis: 'safety',
      fact: "the client's FIN does not end what is still to be sent",
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
      ...common,
      id: `${service}.tcp.unread-input`,
      basis: 'safety',
      fact: '4 KiB of input that it ignores: the answer, FIN, and no reset',
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
  ];
}

/** Throws `Fault` if there is no answer here although other requests get one. */
async function expectAnswer(context: CheckContext, { bytes }: Received): Promise<void> {
  if (bytes.length > 0) return;
  const usual = (await readAnswer(context)).bytes;
  if (usual.length > 0) throw new Fault(`the answer, as ever: ${describeBytes(usual)}`, 'FIN without it');
}
