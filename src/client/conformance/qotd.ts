import { type Check, Fault } from './check.ts';
import { fetchedChecks, printingCharacters } from './fetched.ts';

const tooLong = 512;

/** RFC 865. */
export const qotdChecks: readonly Check[] = fetchedChecks('qotd', () => [
  {
    name: 'length',
    fact: `a quotation has at least 1 and fewer than ${tooLong} characters`,
    judge(bytes) {
      if (bytes.length > 0 && bytes.length < tooLong) return;
      throw new Fault(`1 to ${tooLong - 1} characters`, bytes);
    },
  },
  printingCharacters,
]);
