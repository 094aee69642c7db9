import type { Connection } from '../dial/connection.ts';
import { answeringChecks } from './answering.ts';
import { describeBytes, isPrintable } from './bytes.ts';
import { type Check, type CheckContext, Fault } from './check.ts';
import { askFor } from './datagrams.ts';
import { receive, withConnection } from './stream.ts';

const tcp = { service: 'chargen', transport: 'tcp', basis: 'RFC 864' } as const;
const udp = { service: 'chargen', transport: 'udp', basis: 'RFC 864' } as const;

const space = 0x20;
const ringLength = 95;
const lineLength = 72;
/** Includes CR LF. */
const wholeLine = lineLength + 2;
/** The pattern repeats after this many bytes. More than two periods are examined. */
const period = ringLength * wholeLine;
const looked = 2 * period + wholeLine;
/** More than all buffers between two machines can have held when the server learns of an event. */
const enough = 16 * 1024 * 1024;
const largestDatagram = 512;
const datagrams = 8;

/** RFC 864. */
export const chargenChecks: readonly Check[] = [
  {
    ...tcp,
    id: 'chargen.tcp.start',
    fact: 'a connection begins with the first line, from space to "g"',
    async run(context) {
      const bytes = await read(context, wholeLine);
      if (bytes.every((byte, column) => byte === charactersFrom(space)[column])) return;
      throw new Fault(describeBytes(charactersFrom(space)), describeBytes(bytes), bytes);
    },
  },
  {
    ...tcp,
    id: 'chargen.tcp.lines',
    fact: `lines have ${lineLength} printing characters, CR and LF`,
    async run(context) {
      const bad = linesOf(await read(context, looked)).find(
        (line) => line.length !== lineLength || !line.every(isPrintable),
      );
      if (bad !== undefined) throw new Fault(`${lineLength} printing characters a line`, describeBytes(bad), bad);
    },
  },
  {
    ...tcp,
    id: 'chargen.tcp.ring',
    fact: `${ringLength} characters form a ring; each line starts one further`,
    async run(context) {
      const lines = linesOf(await read(context, looked));
      for (const [index, line] of lines.entries()) {
        expectRing(line);
        const first = lines[index - 1]?.[0];
        if (first === undefined || line[0] === following(first)) continue;
        const before = String.fromCharCode(first);
        const next = String.fromCharCode(following(first));
        throw new Fault(`a line that starts with "${next}" after one with "${before}"`, describeBytes(line), line);
      }
    },
  },
  {
    ...tcp,
    id: 'chargen.tcp.input',
    fact: 'input is ignored: it goes on',
    run: async (context) =>
      withConnection(context, async (connection) => {
        await receive(connection, wholeLine);
        await connection.write('stop\r\nquit\r\n\x03\x04');
        return expectMore(context, connection);
      }),
  },
  {
    ...tcp,
    id: 'chargen.tcp.half-close',
    basis: 'safety',
    fact: "the client's FIN alone does not stop it",
    run: async (context) =>
      withConnection(context, async (connection) => {
        await receive(connection, wholeLine);
        connection.finish();
        return expectMore(context, connection);
      }),
  },
  {
    ...udp,
    id: 'chargen.udp.length',
    fact: `an answer has 0 to ${largestDatagram} characters`,
    async run(context) {
      const long = (await sample(context)).find(({ length }) => length > largestDatagram);
      if (long !== undefined) throw new Fault(`at most ${largestDatagram} bytes`, describeBytes(long), long);
    },
  },
  {
    ...udp,
    id: 'chargen.udp.random',
    fact: 'the length is random, fresh for each request',
    async run(context) {
      const answers = await sample(context);
      const lengths = new Set(answers.map(({ length }) => length));
      if (lengths.size > 1) return;
      throw new Fault(`lengths that differ over ${datagrams} answers`, `${[...lengths].join()} bytes each time`);
    },
  },
  {
    ...udp,
    id: 'chargen.udp.ring',
    fact: `its characters are those of the ring of ${ringLength}, in order, in lines`,
    async run(context) {
      for (const answer of await sample(context)) {
        for (const line of withoutLineEnd(answer)) expectRing(line);
      }
    },
  },
  ...answeringChecks('chargen', 'RFC 864', 1),
];

/** The line that starts with this character. */
function charactersFrom(first: number): Uint8Array {
  const characters = Array.from({ length: lineLength }, (_, column) => space + ((first - space + column) % ringLength));
  return Uint8Array.from([...characters, 0x0d, 0x0a]);
}

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
  throw new Fault(`${length} bytes and more`, `only ${describeBytes(bytes)}`, bytes);
}

/** The complete lines, without their CR LF. */
function linesOf(bytes: Uint8Array): readonly Uint8Array[] {
  return splitLines(bytes).slice(0, -1);
}

/** The lines of a datagram. The last one may be cut anywhere. */
function withoutLineEnd(bytes: Uint8Array): readonly Uint8Array[] {
  const lines = splitLines(bytes);
  const last = lines.at(-1) ?? Buffer.alloc(0);
  return [...lines.slice(0, -1), last.at(-1) === 0x0d ? last.subarray(0, -1) : last];
}

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
    if (chunk === undefined) throw new Fault('more and more', `FIN after ${received} more bytes`);
    received += chunk.length;
  }
}
