/** Throws a RangeError unless it is a descriptor: the kernel would take the nearest, or 0 for what is no number. */
export function assertDescriptor(descriptor: number): void {
  assertWithin('descriptor', descriptor, 0, 2 ** 31 - 1);
}

/** Throws a RangeError unless it is a whole number within the bounds. */
export function assertWithin(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} ${String(value)}: expected a whole number from ${least} to ${most}`);
}
