/** The offset of the first byte that differs, or the end of the shorter input. Undefined if the bytes are equal. */
export function firstDifference(one: Uint8Array, other: Uint8Array): number | undefined {
  if (Buffer.compare(one, other) === 0) return undefined;
  const common = Math.min(one.length, other.length);
  for (let index = 0; index < common; index++) if (one[index] !== other[index]) return index;
  return common;
}
