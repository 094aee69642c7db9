import { describeBytes, isPrintable } from './bytes.ts';
import { type Check, type CheckContext, type CheckedService, Fault, type Transport } from './check.ts';
import { askFor } from './datagrams.ts';
import { readAnswer } from './stream.ts';

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const empty = Buffer.alloc(0);

/** Reads the answer of a service that sends it without being asked. */
export async function fetchAnswer(context: CheckContext, transport: Transport): Promise<Uint8Array> {
  return transport === 'tcp' ? (await readAnswer(context)).bytes : askFor(context, empty);
}

/** Checks for the character set that the RFCs of daytime, qotd and systat recommend in the same words. */
export function charactersCheck(service: CheckedService, transport: Transport, rfc: Check['basis']): Check {
  return {
    id: `${service}.${transport}.characters`,
    service,
    transport,
    basis: rfc,
    fact: 'printing ASCII characters, space, CR and LF, and nothing else',
    async run(context) {
      const bytes = await fetchAnswer(context, transport);
      const at = bytes.findIndex((byte) => !isPrintable(byte) && byte !== carriageReturn && byte !== lineFeed);
      if (at < 0) return;
      const bad = bytes.subarray(at, at + 1);
      throw new Fault('printing characters only', `${describeBytes(bad)} at ${at} of ${describeBytes(bytes)}`, bytes);
    },
  };
}

/** Whether every line, including the last, ends with CR LF, and neither character appears alone. */
export function hasWholeLines(bytes: Uint8Array): boolean {
  return /^(?:[^\r\n]*\r\n)*$/.test(Buffer.from(bytes).toString('latin1'));
}
