import { describeBytes } from './bytes.ts';
import { type Check, Fault, Skip } from './check.ts';
import { readDate } from './date-text.ts';
import { fetchedChecks, printingCharacters } from './fetched.ts';

const minuteMs = 60_000;
/** Zones range from 12 hours behind UTC to 14 hours ahead. */
const zoneMs = 14 * 60 * minuteMs;

/** RFC 867. */
export const daytimeChecks: readonly Check[] = fetchedChecks('daytime', () => [
  printingCharacters,
  {
    name: 'one-line',
    fact: 'it is one line, with CR LF at its end',
    judge(bytes) {
      if (/^[^\r\n]+\r\n$/.test(Buffer.from(bytes).toString('latin1'))) return;
      throw new Fault('one line and CR LF', bytes);
    },
  },
  {
    name: 'clock',
    fact: 'it is the time, to a minute, or 14 hours where it names no zone',
    judge(bytes, { clock }) {
      const date = readDate(Buffer.from(bytes).toString('latin1'));
      if (date === undefined) throw new Skip(`no date that can be read for certain: ${describeBytes(bytes)}`);
      const now = clock.now();
      const most = date.hasZone ? minuteMs : zoneMs + minuteMs;
      if (Math.abs(date.utcMs - now.getTime()) <= most) return;
      throw new Fault(`about ${now.toISOString()}`, bytes);
    },
  },
]);
