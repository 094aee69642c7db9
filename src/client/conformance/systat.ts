import { type Check, Fault } from './check.ts';
import { fetchedChecks, printingCharacters } from './fetched.ts';

/** RFC 866. */
export const systatChecks: readonly Check[] = fetchedChecks('systat', (transport) => [
  printingCharacters,
  {
    name: 'lines',
    fact: `one user per line, each ending with CR LF${transport === 'udp' ? ', none truncated' : ''}`,
    judge(bytes) {
      // Neither CR nor LF may appear alone.
      if (/^(?:[^\r\n]*\r\n)*$/.test(Buffer.from(bytes).toString('latin1'))) return;
      throw new Fault('lines that end with CR LF', bytes);
    },
  },
]);
