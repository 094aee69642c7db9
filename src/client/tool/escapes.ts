import { InvalidArgumentError } from 'commander';

const characters: Readonly<Record<string, number>> = { r: 0x0d, n: 0x0a, t: 0x09, '0': 0, '\\': 0x5c };

/** Parses text with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` as bytes. The rest is UTF-8. */
export function bytesOption(text: string): Uint8Array {
  const parts = text.split(/(\\(?:x[0-9a-f]{2}|[^x]|x|$))/i).map((part, index) => {
    if (index % 2 === 0) return Buffer.from(part);
    const byte = part.length === 4 ? Number.parseInt(part.slice(2), 16) : characters[part.slice(1)];
    if (byte !== undefined) return Buffer.from([byte]);
    throw new InvalidArgumentError(`${part} is not an escape: expected \\r, \\n, \\t, \\0, \\\\ or \\xHH`);
  });
  return Buffer.concat(parts);
}
