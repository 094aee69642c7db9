import { type Check, Fault } from './check.ts';
import { fetchedChecks, printingCharacters } from './fetched.ts';

const tooLong = 512;

/** RFC 865. */
export const qotdChecks: readonly Check[] = fetchedChecks('qotd', () => [
  {
    name: 'length',
    fact: `a quotation has fewer than ${tooLong} characters, and one at least`,
    judge(bytes) {
      if (bytes.length > 0 && bytes.length < tooLong) return;
      throw new Fault(`1 to ${tooLong - 1} characters`, bytes);
    },
  },
  printingCharacters,
]);
