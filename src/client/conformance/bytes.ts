/** The most bytes to show of a peer's data. */
const shownBytes = 48;

/** Formats bytes safely for a terminal, as quoted text or else in hexadecimal, followed by their number. */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'nothing';
  const shown = Buffer.from(bytes.subarray(0, shownBytes));
  const more = bytes.length > shownBytes ? '…' : '';
  const count = bytes.length === 1 ? '1 byte' : `${bytes.length} bytes`;
  const printable = shown.filter((byte) => isPrintable(byte) || byte === 0x0d || byte === 0x0a).length;
  return printable * 2 > shown.length
    ? `"${quote(shown)}${more}" (${count})`
    : `${Array.from(shown, hex).join(' ')}${more} (${count})`;
}

export function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte <= 0x7e;
}

function quote(bytes: Uint8Array): string {
  return Array.from(
    bytes,
    (byte) => escapes.get(byte) ?? (isPrintable(byte) ? String.fromCharCode(byte) : `\\x${hex(byte)}`),
  ).join('');
}

const escapes: ReadonlyMap<number, string> = new Map([
  [0x0d, '\\r'],
  [0x0a, '\\n'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
