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
    fact: 'it is one line that ends with CR LF',
    judge(bytes) {
      if (/^[^\r\n]+\r\n$/.test(Buffer.from(bytes).toString('latin1'))) return;
      throw new Fault('one line and CR LF', bytes);
    },
  },
  {
    name: 'clock',
    fact: 'the time is correct to within a minute (14 hours if no zone is given)',
    judge(bytes, { clock }) {
      const date = readDate(Buffer.from(bytes).toString('latin1'));
      if (date === undefined) throw new Skip(`the date cannot be read with certainty: ${describeBytes(bytes)}`);
      const now = clock.now();
      const most = date.hasZone ? minuteMs : zoneMs + minuteMs;
      if (Math.abs(date.utcMs - now.getTime()) <= most) return;
      throw new Fault(`about ${now.toISOString()}`, bytes);
    },
  },
]);
