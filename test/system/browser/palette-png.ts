import { deflateSync, inflateSync } from 'node:zlib';

const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const mostColors = 48;
/** Colors that are nearer to each other count as one: the edges of letters have many. */
const leastDistance = 20 ** 2;

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Bytes of a pixel: red, green, blue, and perhaps opacity, which is ignored. */
  readonly depth: number;
  readonly pixels: Buffer;
}

/**
 * Writes a screenshot (PNG of 8 bits, without interlacing) with few colors, which takes a third of the space. All
 * others become the nearest of these. https://www.w3.org/TR/png-3/
 */
export function withPalette(png: Buffer): Buffer {
  const { width, height, depth, pixels } = decode(png);
  const colors = new Uint32Array(width * height);
  const counts = new Map<number, number>();
  for (let pixel = 0; pixel < colors.length; pixel += 1) {
    const color = pixels.readUIntBE(pixel * depth, 3);
    colors[pixel] = color;
    counts.set(color, (counts.get(color) ?? 0) + 1);
  }
  const frequent = [...counts].toSorted((one, other) => other[1] - one[1]).map(([color]) => color);
  const palette = paletteOf(frequent);
  const places = new Map(frequent.map((color) => [color, nearest(color, palette)]));
  const rows = Buffer.alloc(height * (width + 1));
  for (let pixel = 0; pixel < colors.length; pixel += 1) {
    const row = Math.floor(pixel / width);
    // Each row begins with its filter: none.
    rows[row * (width + 1) + 1 + (pixel % width)] = places.get(colors[pixel] ?? 0) ?? 0;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const entries = Buffer.from(palette.flatMap(channels));
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('PLTE', entries),
    chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function decode(png: Buffer): Picture {
  const parts = new Map<string, Buffer[]>();
  for (let at = signature.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    parts.set(type, [...(parts.get(type) ?? []), png.subarray(at + 8, at + 8 + length)]);
    at += 12 + length;
  }
  const header = parts.get('IHDR')?.[0] ?? Buffer.alloc(13);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const depth = header[9] === 6 ? 4 : 3;
  const filtered = inflateSync(Buffer.concat(parts.get('IDAT') ?? []));
  return { width, height, depth, pixels: unfilter(filtered, width * depth, height, depth) };
}

/** Each byte is the difference to what its neighbors predict: the left one, the upper one, and the one between them. */
function unfilter(filtered: Buffer, rowBytes: number, height: number, depth: number): Buffer {
  const pixels = Buffer.alloc(rowBytes * height);
  for (let row = 0; row < height; row += 1) {
    const filter = filtered[row * (rowBytes + 1)] ?? 0;
    for (let index = 0; index < rowBytes; index += 1) {
      const at = row * rowBytes + index;
      const left = index >= depth ? (pixels[at - depth] ?? 0) : 0;
      const up = row > 0 ? (pixels[at - rowBytes] ?? 0) : 0;
      const corner = index >= depth && row > 0 ? (pixels[at - rowBytes - depth] ?? 0) : 0;
      const predicted = [0, left, up, Math.floor((left + up) / 2), paeth(left, up, corner)][filter] ?? 0;
      pixels[at] = (filtered[row * (rowBytes + 1) + 1 + index] ?? 0) + predicted;
    }
  }
  return pixels;
}

function paeth(left: number, up: number, corner: number): number {
  const [byLeft, byUp, byCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

/** The most frequent colors that differ. */
function paletteOf(frequent: readonly number[]): readonly number[] {
  const palette: number[] = [];
  for (const color of frequent) {
    if (palette.length === mostColors) break;
    if (palette.every((each) => distance(each, color) >= leastDistance)) palette.push(color);
  }
  return palette;
}

function nearest(color: number, palette: readonly number[]): number {
  const distances = palette.map((each) => distance(each, color));
  return distances.indexOf(Math.min(...distances));
}

function distance(one: number, other: number): number {
  const wanted = channels(other);
  return channels(one).reduce((sum, channel, index) => sum + (channel - (wanted[index] ?? 0)) ** 2, 0);
}

function channels(color: number): readonly number[] {
  return [color >> 16, (color >> 8) & 0xff, color & 0xff];
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc(body), body.length + 4);
  return whole;
}

function crc(bytes: Buffer): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
  }
  return ~remainder >>> 0;
}
