import { expect, test } from 'vitest';
import { findNodes } from '../../../bench/nodes.ts';
import { choosePorts } from '../../../bench/ports.ts';
import { readProcessorList } from '../../../bench/processors.ts';
import {
  cpuSecondsByProcess,
  cpuSecondsOf,
  memoryBytesOf,
  processesBelow,
  timesIn,
} from '../../../bench/process-tree.ts';
import { reloadsIn } from '../../../bench/reload.ts';
import { orderOf } from '../../../bench/rounds.ts';

test('the order changes from round to round, and every other round is backwards', () => {
  const orders = [0, 1, 2, 3].map((round) => orderOf(['a', 'b', 'c'], round).join(''));
  expect(orders).toEqual(['abc', 'acb', 'cab', 'cba']);
  expect(orderOf([], 3)).toEqual([]);
});

test('reloads are found in the log, with or without priorities', () => {
  const log = '{"msg":"ready","ms":9}\n<6>{"msg":"config reloaded","ms":321}\n{"msg":"config reloaded","ms":12}\n';
  expect(reloadsIn(log)).toEqual([321, 12]);
});

test('a list of processors has ranges', () => {
  expect(readProcessorList('0-2,5\n')).toEqual([0, 1, 2, 5]);
});

test('times are read from the stat file of a process, whatever its name', () => {
  const fields = Array.from({ length: 40 }, (_, index) => index + 3).map(String);
  // Fields 14 to 17: utime, stime, cutime, cstime.
  expect(timesIn(`12 (a) b (c) ${fields.join(' ')}`)).toEqual({ own: 0.29, children: 0.33 });
});

test('this process has CPU time and memory', () => {
  const before = cpuSecondsOf([process.pid]);
  const end = process.cpuUsage().user + 50_000;
  while (process.cpuUsage().user < end);
  expect(cpuSecondsOf([process.pid]) - before).toBeGreaterThan(0.04);
  expect(cpuSecondsByProcess([process.pid]).get(process.pid)).toBeGreaterThan(0.04);
  expect(memoryBytesOf([process.pid])).toBeGreaterThan(2 ** 20);
  expect(processesBelow([process.pid])).toContain(process.pid);
});

test('ports are free, different and below those of clients', async () => {
  const ports = Object.values(await choosePorts());
  expect(new Set(ports).size).toBe(ports.length);
  expect(Math.max(...ports)).toBeLessThan(32_768);
});

test('the running Node is among those found', () => {
  expect(findNodes([process.execPath]).nodes.map(({ version }) => version)).toContain(process.version);
});
