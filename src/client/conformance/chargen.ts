import { patternPieces } from '../chargen-pattern.ts';
import type { Connection } from '../dial/connection.ts';
import { answeringChecks } from './answering.ts';
import { describeBytes, isPrintable } from './bytes.ts';
import { type Check, type CheckContext, checksOf, Fault } from './check.ts';
import { askFor } from './datagrams.ts';
import { overConnection, receive, withConnection } from './stream.ts';

const space = 0x20;
const ringLength = 95;
const lineLength = 72;
/** Includes CR LF. */
const wholeLine = lineLength + 2;
const firstLine = Buffer.concat([...patternPieces(wholeLine)]);
/** The pattern repeats after this many bytes. More than two periods are examined. */
const period = ringLength * wholeLine;
const looked = 2 * period + wholeLine;
/** More than all buffers between two machines can have held when the server learns of an event. */
const enough = 16 * 1024 * 1024;
const largestDatagram = 512;
const datagrams = 8;

/** RFC 864. */
export const chargenChecks: readonly Check[] = [
  ...checksOf('chargen', 'tcp', [
    {
      name: 'start',
      fact: 'a connection begins with the first line, from space to "g"',
      async run(context) {
        const bytes = await read(context, wholeLine);
        if (Buffer.compare(bytes, firstLine) !== 0) throw new Fault(describeBytes(firstLine), bytes);
      },
    },
    {
      name: 'lines',
      fact: `lines have ${lineLength} printing characters, CR and LF`,
      async run(context) {
        const lines = await readLines(context);
        const bad = lines.find((line) => line.length !== lineLength || !line.every(isPrintable));
        if (bad !== undefined) throw new Fault(`${lineLength} printing characters per line`, bad);
      },
    },
    {
      name: 'ring',
      fact: `${ringLength} characters form a ring; each line starts one character further`,
      async run(context) {
        const lines = await readLines(context);
        for (const [index, line] of lines.entries()) {
          expectRing(line);
          const first = lines[index - 1]?.[0];
          if (first === undefined || line[0] === following(first)) continue;
          const before = String.fromCharCode(first);
          const next = String.fromCharCode(following(first));
          throw new Fault(`a line that starts with "${next}" after one that starts with "${before}"`, line);
        }
      },
    },
    {
      name: 'input',
      fact: 'input is ignored: the stream continues',
      run: overConnection(async (connection, context) => {
        await receive(connection, wholeLine);
        await connection.write('stop\r\nquit\r\n\x03\x04');
        return expectMore(context, connection);
      }),
    },
    {
      name: 'half-close',
      basis: 'safety',
      fact: "the client's FIN alone does not stop the stream",
      run: overConnection(async (connection, context) => {
        await receive(connection, wholeLine);
        connection.finish();
        return expectMore(context, connection);
      }),
    },
  ]),
  ...checksOf('chargen', 'udp', [
    {
      name: 'length',
      fact: `an answer has 0 to ${largestDatagram} characters`,
      async run(context) {
        const long = (await sample(context)).find(({ length }) => length > largestDatagram);
        if (long !== undefined) throw new Fault(`at most ${largestDatagram} bytes`, long);
      },
    },
    {
      name: 'random',
      fact: 'the length is random for each request',
      async run(context) {
        const answers = await sample(context);
        const lengths = new Set(answers.map(({ length }) => length));
        if (lengths.size > 1) return;
        throw new Fault(`different lengths in ${datagrams} answers`, `${[...lengths].join()} bytes each time`);
      },
    },
    {
      name: 'ring',
      fact: `its characters are those of the ring of ${ringLength}, in order, in lines`,
      async run(context) {
        for (const answer of await sample(context)) {
          // It may be cut anywhere, also within CR LF.
          const whole = answer.at(-1) === 0x0d ? answer.subarray(0, -1) : answer;
          for (const line of splitLines(whole)) expectRing(line);
        }
      },
    },
  ]),
  ...answeringChecks('chargen', 1),
];

function following(character: number): number {
  return space + ((character - space + 1) % ringLength);
}

/** Throws `Fault` unless each character follows its predecessor in the ring. */
function expectRing(line: Uint8Array): void {
  for (const [column, character] of line.entries()) {
    const before = line[column - 1];
    if (before === undefined ? isPrintable(character) : character === following(before)) continue;
    const around = line.subarray(Math.max(0, column - 4), column + 4);
    const where = before === undefined ? 'to start with' : `after "${String.fromCharCode(before)}"`;
    const next = before === undefined ? 'a printing character' : `"${String.fromCharCode(following(before))}"`;
    throw new Fault(`${next} ${where}`, describeBytes(around), line);
  }
}

/** The first bytes of a connection. */
async function read(context: CheckContext, length: number): Promise<Uint8Array> {
  const bytes = await withConnection(context, async (connection) => receive(connection, length));
  if (bytes.length >= length) return bytes.subarray(0, length);
  throw new Fault(`at least ${length} bytes`, `only ${describeBytes(bytes)}`, bytes);
}

/** The complete lines of more than two periods. */
async function readLines(context: CheckContext): Promise<readonly Uint8Array[]> {
  return splitLines(await read(context, looked)).slice(0, -1);
}

/** The lines without their CR LF. The last one is what follows the last CR LF. */
function splitLines(bytes: Uint8Array): readonly Uint8Array[] {
  return Buffer.from(bytes)
    .toString('latin1')
    .split('\r\n')
    .map((line) => Buffer.from(line, 'latin1'));
}

async function sample(context: CheckContext): Promise<readonly Uint8Array[]> {
  const answers: Uint8Array[] = [];
  // Long enough to get 512 bytes from a server that never sends more than it received.
  const long = Buffer.alloc(largestDatagram, '\n');
  for (let turn = 0; turn < datagrams; turn += 1) answers.push(await askFor(context, long));
  return answers;
}

/** Throws `Fault` if the stream ends before all that may be in flight has arrived, unless the timeout comes first. */
async function expectMore({ clock, timeoutMs }: CheckContext, connection: Connection): Promise<void> {
  const endMs = clock.monotonicMs() + timeoutMs;
  let received = 0;
  while (received < enough && clock.monotonicMs() < endMs) {
    const chunk = await connection.read();
    if (chunk === undefined) throw new Fault('the stream to continue', `FIN after ${received} more bytes`);
    received += chunk.length;
  }
}
