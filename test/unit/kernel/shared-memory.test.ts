import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { createSharedMemory, mapSharedMemory } from '../../../src/kernel/shared-memory.ts';

function create(bytes: number): number {
  const descriptor = createSharedMemory('test', bytes);
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

it('is the same memory in every mapping and in a child that inherits it', () => {
  const descriptor = create(8192);
  const [one, other] = [mapSharedMemory(descriptor, 8192), mapSharedMemory(descriptor, 8192)].map(
    (memory) => new Int32Array(memory),
  );
  expect([one?.length, one?.[0], other?.[2047]]).toEqual([2048, 0, 0]);
  if (one === undefined || other === undefined) throw new Error('no memory');
  one[5] = 42;
  expect(other[5]).toBe(42);
  // What the system itself makes of it.
  const script = `
import mmap, struct
memory = mmap.mmap(3, 0)
print(len(memory), struct.unpack_from('<i', memory, 20)[0])
struct.pack_into('<i', memory, 24, 7)`;
  const child = spawnSync('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', descriptor] });
  expect(String(child.stdout)).toBe('8192 42\n');
  expect(one[6]).toBe(7);
});

it('keeps its size, whoever tries to change it', () => {
  const descriptor = create(4096);
  for (const bytes of [0, 4095, 8192]) expect(() => ftruncateSync(descriptor, bytes)).toThrow('EPERM');
  expect(fstatSync(descriptor).size).toBe(4096);
});

it('counts the same whoever adds', () => {
  const descriptor = create(4096);
  const [one, other] = [mapSharedMemory(descriptor, 4096), mapSharedMemory(descriptor, 4096)];
  if (one === undefined || other === undefined) throw new Error('no memory');
  Atomics.add(new Int32Array(one), 3, 2);
  expect(Atomics.add(new Int32Array(other), 3, -1)).toBe(2);
  expect(new Int32Array(one)[3]).toBe(1);
});

it('reports what the system refuses', () => {
  expect(() => createSharedMemory('x'.repeat(300), 4096)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  expect(() => mapSharedMemory(99_999, 4096)).toThrow(expect.objectContaining({ code: 'EBADF' }));
});

it.each([0, -1, 0.5, Number.NaN, Infinity])('is not created with %d bytes', (bytes) => {
  expect(() => createSharedMemory('test', bytes)).toThrow(RangeError);
});

it.each([0, -1, 4097, Number.NaN])('of 4096 bytes is not mapped with %d', (bytes) => {
  // Beyond its end, an access would crash the process.
  expect(() => mapSharedMemory(create(4096), bytes)).toThrow(RangeError);
});
