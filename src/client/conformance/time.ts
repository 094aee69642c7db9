import { answeringChecks } from './answering.ts';
import { describeBytes } from './bytes.ts';
import { type Check, Fault, Skip, type Transport } from './check.ts';
import { closingChecks } from './closing.ts';
import { fetchAnswer } from './text.ts';

const rfc = 'RFC 868';
/** Seconds from 1900 to 1970. */
const epochSeconds = 2_208_988_800;
const eraSeconds = 2 ** 32;
const toleranceSeconds = 60;

/** RFC 868. */
export const timeChecks: readonly Check[] = [
  ...wordChecks('tcp'),
  ...closingChecks('time', rfc),
  ...wordChecks('udp'),
  ...answeringChecks('time', rfc, 2),
];

function wordChecks(transport: Transport): readonly Check[] {
  const common = { service: 'time', transport, basis: rfc } as const;
  return [
    {
      ...common,
      id: `time.${transport}.four-bytes`,
      fact: 'it sends exactly four bytes',
      async run(context) {
        const bytes = await fetchAnswer(context, transport);
        if (bytes.length === 0 && transport === 'tcp')
          throw new Skip('it closes without a byte, as one that does not know the time');
        if (bytes.length !== 4) throw new Fault('4 bytes', describeBytes(bytes), bytes);
      },
    },
    {
      ...common,
      id: `time.${transport}.clock`,
      fact: 'they are the seconds since 1900, to a minute',
      async run(context) {
        const bytes = await fetchAnswer(context, transport);
        if (bytes.length < 4) throw new Skip(`fewer than four bytes: ${describeBytes(bytes)}`);
        const seen = Buffer.from(bytes).readUInt32BE();
        const nowSeconds = context.clock.now().getTime() / 1000;
        const expected = Math.floor(nowSeconds + epochSeconds) % eraSeconds;
        // The shorter distance. The count wraps around in 2036.
        const apart = (seen - expected + eraSeconds) % eraSeconds;
        if (Math.min(apart, eraSeconds - apart) <= toleranceSeconds) return;
        const word = Buffer.alloc(4);
        word.writeUInt32BE(expected);
        throw new Fault(`about ${describeBytes(word)}`, describeBytes(bytes), bytes);
      },
    },
  ];
}
