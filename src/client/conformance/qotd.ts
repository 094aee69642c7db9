import { answeringChecks } from './answering.ts';
import { describeBytes } from './bytes.ts';
import { type Check, Fault, type Transport } from './check.ts';
import { closingChecks } from './closing.ts';
import { charactersCheck, fetchAnswer } from './text.ts';

const rfc = 'RFC 865';
const tooLong = 512;

/** RFC 865. */
export const qotdChecks: readonly Check[] = [
  lengthCheck('tcp'),
  charactersCheck('qotd', 'tcp', rfc),
  ...closingChecks('qotd', rfc),
  lengthCheck('udp'),
  charactersCheck('qotd', 'udp', rfc),
  ...answeringChecks('qotd', rfc, 2),
];

function lengthCheck(transport: Transport): Check {
  return {
    id: `qotd.${transport}.length`,
    service: 'qotd',
    transport,
    basis: rfc,
    fact: `a quotation has fewer than ${tooLong} characters, and one at least`,
    async run(context) {
      const bytes = await fetchAnswer(context, transport);
      if (bytes.length > 0 && bytes.length < tooLong) return;
      throw new Fault(`1 to ${tooLong - 1} characters`, describeBytes(bytes), bytes);
    },
  };
}
