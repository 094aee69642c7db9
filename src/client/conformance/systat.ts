import { answeringChecks } from './answering.ts';
import { describeBytes } from './bytes.ts';
import { type Check, Fault, type Transport } from './check.ts';
import { closingChecks } from './closing.ts';
import { charactersCheck, fetchAnswer, hasWholeLines } from './text.ts';

const rfc = 'RFC 866';

/** RFC 866. */
export const systatChecks: readonly Check[] = [
  charactersCheck('systat', 'tcp', rfc),
  linesCheck('tcp'),
  ...closingChecks('systat', rfc),
  charactersCheck('systat', 'udp', rfc),
  linesCheck('udp'),
  ...answeringChecks('systat', rfc, 2),
];

function linesCheck(transport: Transport): Check {
  return {
    id: `systat.${transport}.lines`,
    service: 'systat',
    transport,
    basis: rfc,
    fact: `one user a line, each with CR LF at its end${transport === 'udp' ? ', none cut' : ''}`,
    async run(context) {
      const bytes = await fetchAnswer(context, transport);
      if (!hasWholeLines(bytes)) throw new Fault('lines that end with CR LF', describeBytes(bytes), bytes);
    },
  };
}
