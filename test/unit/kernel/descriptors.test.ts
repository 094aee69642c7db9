import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { duplicate } from '../../../src/kernel/descriptors.ts';

it('duplicates a descriptor as close-on-exec', () => {
  const descriptor = openSync('/dev/null', 'r');
  const copy = duplicate(descriptor);
  if (copy === undefined) throw new Error('no copy');
  expect(copy).not.toBe(descriptor);
  const { rdev } = fstatSync(descriptor);
  closeSync(descriptor);
  expect(fstatSync(copy).rdev).toBe(rdev);
  // O_CLOEXEC, proc_pid_fdinfo(5).
  expect(readFileSync(`/proc/self/fdinfo/${copy}`, 'utf8')).toMatch(/^flags:\t02\d{6}$/m);
  closeSync(copy);
});

it('returns undefined for a descriptor that is not open', () => {
  expect(duplicate(1_000_000)).toBeUndefined();
});
