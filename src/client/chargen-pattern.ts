/** The pattern of RFC 864: lines of 72 of the 95 printable characters, each line starting one character later. */
const firstCharacter = 0x20;
const ringCharacters = 95;
const lineCharacters = 72;

/** Includes CR LF. */
const lineBytes = lineCharacters + 2;

/** The pattern repeats after this many bytes (7,030). */
const periodBytes = ringCharacters * lineBytes;

/** Longer than any piece that is compared or sent at once, wherever in the period it starts. */
const pieceBytes = 64 * 1024;
const pattern = Buffer.alloc(pieceBytes + periodBytes, createPeriod());

/** Where bytes differ from the pattern. */
export interface Deviation {
  /** Counted from 0. */
  readonly offset: number;
  /** The expected byte, or undefined if the end was expected. */
  readonly expected: number | undefined;
  readonly got: number;
}

/** Compares a stream with the pattern. */
export class PatternCheck {
  #offset = 0;
  readonly #begin: number;

  /** `firstLine` from 0 to 94. */
  constructor(firstLine = 0) {
    this.#begin = firstLine * lineBytes;
  }

  /** Returns the first deviation in the next bytes of the stream. */
  check(bytes: Uint8Array): Deviation | undefined {
    for (let begin = 0; begin < bytes.length; begin += pieceBytes) {
      const piece = bytes.subarray(begin, begin + pieceBytes);
      const expected = patternAt(this.#begin + this.#offset, piece.length);
      if (Buffer.compare(piece, expected) !== 0) {
        const index = piece.findIndex((byte, at) => byte !== expected[at]);
        return { offset: this.#offset + index, expected: expected[index], got: piece[index] as number };
      }
      this.#offset += piece.length;
    }
    return undefined;
  }
}

/** The limit in RFC 864. */
const mostDatagramBytes = 512;

/** Compares a datagram of 0 to 512 bytes with the pattern. It may start with any line, as on the BSDs. */
export function checkDatagram(bytes: Uint8Array): Deviation | undefined {
  const line = (bytes[0] ?? firstCharacter) - firstCharacter;
  const check = new PatternCheck(line >= 0 && line < ringCharacters ? line : 0);
  const deviation = check.check(bytes.subarray(0, mostDatagramBytes));
  const excess = bytes[mostDatagramBytes];
  if (deviation !== undefined || excess === undefined) return deviation;
  return { offset: mostDatagramBytes, expected: undefined, got: excess };
}

/** The first `length` bytes of the pattern, in pieces. */
export function* patternPieces(length: number): Generator<Uint8Array> {
  for (let offset = 0; offset < length; offset += pieceBytes)
    yield patternAt(offset, Math.min(pieceBytes, length - offset));
}

/** Returns at most 64 KiB. */
function patternAt(offset: number, length: number): Uint8Array {
  const begin = offset % periodBytes;
  return pattern.subarray(begin, begin + length);
}

function createPeriod(): Buffer {
  const bytes = Array.from({ length: periodBytes }, (_byte, offset) => {
    const column = offset % lineBytes;
    if (column >= lineCharacters) return column === lineCharacters ? 0x0d : 0x0a;
    return firstCharacter + ((Math.floor(offset / lineBytes) + column) % ringCharacters);
  });
  return Buffer.from(bytes);
}
