import { type LocalTimeType, type PosixZone, parsePosixZone, posixTypeAt } from './posix-zone.ts';

/** Contents of a TZif file. */
export interface ZoneHistory {
  /** The type before the first transition. */
  readonly initial: LocalTimeType;
  /** In ascending order. `type` applies from `at`, in seconds since 1970. */
  readonly transitions: readonly { readonly at: number; readonly type: LocalTimeType }[];
  /** The rule after the last transition, or always if there are none. If undefined, the last type stays in effect. */
  readonly future: PosixZone | undefined;
}

type Header = NonNullable<ReturnType<typeof readHeader>>;

const headerBytes = 44;
const abbreviationPattern = /^[A-Za-z0-9+-]+$/;

/**
 * Parses a TZif file of any version (RFC 8536). Never throws. Returns undefined for a malformed file, and for one that
 * counts leap seconds, which does not match the wall clock.
 */
export function parseTzif(bytes: Uint8Array): ZoneHistory | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = readHeader(view, 0);
  if (first === undefined) return undefined;
  if (first.version === 0) return readBlock(view, headerBytes, first, 4, undefined);

  const secondStart = headerBytes + blockBytes(first, 4);
  const second = readHeader(view, secondStart);
  if (second === undefined) return undefined;
  const footerStart = secondStart + headerBytes + blockBytes(second, 8);
  const footer = /^\n([^\n]*)\n/.exec(ascii(view, footerStart, view.byteLength))?.[1];
  if (footer === undefined) return undefined;
  const future = parsePosixZone(footer);
  if (footer !== '' && future === undefined) return undefined;
  return readBlock(view, secondStart + headerBytes, second, 8, future);
}

/** The type in effect at an instant in seconds since 1970. */
export function typeAt({ transitions, initial, future }: ZoneHistory, seconds: number): LocalTimeType {
  const last = transitions.findLastIndex(({ at }) => at <= seconds);
  if (last === transitions.length - 1 && future !== undefined) return posixTypeAt(future, seconds);
  return transitions[last]?.type ?? initial;
}

function readHeader(view: DataView, start: number) {
  if (view.byteLength < start + headerBytes || ascii(view, start, start + 4) !== 'TZif') return undefined;
  const count = (index: number): number => view.getUint32(start + 20 + 4 * index);
  return {
    version: view.getUint8(start + 4),
    isUtCount: count(0),
    isStdCount: count(1),
    leapCount: count(2),
    timeCount: count(3),
    typeCount: count(4),
    charCount: count(5),
  };
}

function blockBytes(header: Header, timeBytes: 4 | 8): number {
  const { isUtCount, isStdCount, leapCount, timeCount, typeCount, charCount } = header;
  return timeCount * (timeBytes + 1) + typeCount * 6 + charCount + leapCount * (timeBytes + 4) + isStdCount + isUtCount;
}

function readBlock(
  view: DataView,
  start: number,
  header: Header,
  timeBytes: 4 | 8,
  future: PosixZone | undefined,
): ZoneHistory | undefined {
  // Checked once here, so that no read below can run past the end.
  if (view.byteLength < start + blockBytes(header, timeBytes) || header.leapCount > 0) return undefined;
  const indexStart = start + header.timeCount * timeBytes;
  const typeStart = indexStart + header.timeCount;
  const charStart = typeStart + header.typeCount * 6;
  const chars = ascii(view, charStart, charStart + header.charCount);

  const types: LocalTimeType[] = [];
  for (let index = 0; index < header.typeCount; index++) {
    const at = typeStart + 6 * index;
    const nameStart = view.getUint8(at + 5);
    const abbreviation = chars.slice(nameStart, chars.indexOf('\0', nameStart));
    if (!abbreviationPattern.test(abbreviation)) return undefined;
    types.push({ offsetSeconds: view.getInt32(at), abbreviation });
  }

  const transitions: { at: number; type: LocalTimeType }[] = [];
  for (let index = 0; index < header.timeCount; index++) {
    const position = start + timeBytes * index;
    const at = timeBytes === 4 ? view.getInt32(position) : Number(view.getBigInt64(position));
    const type = types[view.getUint8(indexStart + index)];
    if (type === undefined || at <= (transitions.at(-1)?.at ?? -Infinity)) return undefined;
    transitions.push({ at, type });
  }
  const initial = types[0];
  return initial && { initial, transitions, future };
}

function ascii(view: DataView, start: number, end: number): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('latin1', start, end);
}
