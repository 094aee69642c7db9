import { answeringChecks } from './answering.ts';
import { describeBytes } from './bytes.ts';
import { type Check, Fault, Skip, type Transport } from './check.ts';
import { closingChecks } from './closing.ts';
import { readDate } from './date-text.ts';
import { charactersCheck, fetchAnswer } from './text.ts';

const rfc = 'RFC 867';
const minuteMs = 60_000;
/** Zones range from 12 hours behind UTC to 14 hours ahead. */
const zoneMs = 14 * 60 * minuteMs;

/** RFC 867. */
export const daytimeChecks: readonly Check[] = [
  ...lineChecks('tcp'),
  ...closingChecks('daytime', rfc),
  ...lineChecks('udp'),
  ...answeringChecks('daytime', rfc, 2),
];

function lineChecks(transport: Transport): readonly Check[] {
  const common = { service: 'daytime', transport, basis: rfc } as const;
  return [
    charactersCheck('daytime', transport, rfc),
    {
      ...common,
      id: `daytime.${transport}.one-line`,
      fact: 'it is one line, with CR LF at its end',
      async run(context) {
        const bytes = await fetchAnswer(context, transport);
        if (/^[^\r\n]+\r\n$/.test(Buffer.from(bytes).toString('latin1'))) return;
        throw new Fault('one line and CR LF', describeBytes(bytes), bytes);
      },
    },
    {
      ...common,
      id: `daytime.${transport}.clock`,
      fact: 'it is the time, to a minute, or 14 hours where it names no zone',
      async run(context) {
        const bytes = await fetchAnswer(context, transport);
        const date = readDate(Buffer.from(bytes).toString('latin1'));
        if (date === undefined) throw new Skip(`no date that can be read for certain: ${describeBytes(bytes)}`);
        const now = context.clock.now();
        const most = date.hasZone ? minuteMs : zoneMs + minuteMs;
        if (Math.abs(date.utcMs - now.getTime()) <= most) return;
        throw new Fault(`about ${now.toISOString()}`, describeBytes(bytes), bytes);
      },
    },
  ];
}
