import { describe, expect, it } from 'vitest';
import { autoWorkers, type Machine, readMachine } from '../../../../src/server/config/auto-workers.ts';

const large: Machine = { processors: 8, cpus: undefined, memoryBytes: 2 ** 34 };
const mebibytes = (number: number): number => number * 2 ** 20;

describe('workers: auto', () => {
  it.each([
    [1, 2],
    [2, 2],
    [3, 3],
    [4, 4],
    [64, 4],
  ])('on %i processors is %i', (processors, workers) => {
    expect(autoWorkers({ ...large, processors }, false)).toEqual({ workers, limit: undefined });
  });

  it.each([
    [0.05, 1],
    [0.99, 1],
    [1, 2],
    [1.5, 2],
    [2.1, 3],
  ])('with CPU time of %f processors is %i', (cpus, workers) => {
    expect(autoWorkers({ ...large, cpus }, false)).toEqual({ workers, limit: { cpus } });
  });

  it('is not limited by CPU time that the processors cannot give', () => {
    expect(autoWorkers({ ...large, processors: 2, cpus: 1.5 }, false)).toEqual({ workers: 2, limit: undefined });
  });

  it.each([
    [16, 0],
    [64, 0],
    [111, 0],
    [112, 1],
    [175, 1],
    [176, 2],
    [303, 3],
  ])('in %i MiB is %i', (memory, workers) => {
    const memoryBytes = mebibytes(memory);
    expect(autoWorkers({ ...large, memoryBytes }, false)).toEqual({ workers, limit: { memoryBytes } });
  });

  it('is at least 1 where only a supervisor can open the ports', () => {
    const memoryBytes = mebibytes(64);
    expect(autoWorkers({ ...large, memoryBytes }, true)).toEqual({ workers: 1, limit: { memoryBytes } });
  });

  it('names the lower of two limits', () => {
    const both = { ...large, cpus: 0.5, memoryBytes: mebibytes(64) };
    expect(autoWorkers(both, false)).toEqual({ workers: 0, limit: { memoryBytes: mebibytes(64) } });
    const wider = { ...both, memoryBytes: mebibytes(200) };
    expect(autoWorkers(wider, false)).toEqual({ workers: 1, limit: { cpus: 0.5 } });
  });
});

it('reads the machine', () => {
  const { processors, memoryBytes } = readMachine();
  expect(processors).toBeGreaterThan(0);
  expect(memoryBytes).toBeGreaterThan(mebibytes(16));
});
