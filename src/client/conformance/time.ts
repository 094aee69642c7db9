import { eraSeconds, secondsOfWord, secondsTo1970 } from '../time.ts';
import { describeBytes } from './bytes.ts';
import { type Check, Fault, Skip } from './check.ts';
import { fetchedChecks } from './fetched.ts';

const toleranceSeconds = 60;

/** RFC 868. */
export const timeChecks: readonly Check[] = fetchedChecks('time', (transport) => [
  {
    name: 'four-bytes',
    fact: 'it sends exactly four bytes',
    judge(bytes) {
      if (bytes.length === 0 && transport === 'tcp')
        throw new Skip('it closes without sending a byte, as a server that does not know the time does');
      if (bytes.length !== 4) throw new Fault('4 bytes', bytes);
    },
  },
  {
    name: 'clock',
    fact: 'the seconds since 1900, to within a minute',
    judge(bytes, { clock }) {
      if (bytes.length < 4) throw new Skip(`fewer than four bytes: ${describeBytes(bytes)}`);
      const ownSeconds = Math.floor(clock.now().getTime() / 1000);
      const seconds = secondsOfWord(Buffer.from(bytes).readUInt32BE(), ownSeconds);
      if (Math.abs(seconds - ownSeconds) <= toleranceSeconds) return;
      const word = Buffer.alloc(4);
      word.writeUInt32BE((ownSeconds + secondsTo1970) % eraSeconds);
      throw new Fault(`about ${describeBytes(word)}`, bytes);
    },
  },
]);
