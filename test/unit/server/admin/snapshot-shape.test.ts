import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSnapshot } from '../../../../src/server/admin/snapshot-shape.ts';
import { formatStatus } from '../../../../src/server/command/status.ts';
import { snapshot } from './snapshot.ts';

type Json = Record<string, unknown>;

/** As it comes over the network. */
function received(): Json {
  const last = { succeeded: false, at: '2026-11-22T11:07:13.000Z', tookMs: 5, errors: ['one'] };
  const reload = { attempts: 3, failures: 1, isRunning: false, lastSuccessAt: '2026-11-22T11:07:13.000Z', last };
  const services = { echo: { ...snapshot().services['echo']!, custom: { hits: { help: 'Hits.', count: 3 } } } };
  return JSON.parse(JSON.stringify(snapshot({ reload, notReady: ['draining'], services }))) as Json;
}

function faultIn(value: unknown): string | undefined {
  const reading = readSnapshot(value);
  return 'fault' in reading ? reading.fault : undefined;
}

/** The paths of all that is in it, as lists of keys. */
function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  const parts = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [path, ...parts.flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value))
    return value.map((each, index) => (String(index) === key ? replaced(each, rest, by) : each));
  if (typeof value !== 'object' || value === null) return value;
  return { ...value, [key]: replaced((value as Json)[key], rest, by) };
}

/** Whether a person could be shown it. */
function isShown(value: unknown): boolean {
  const reading = readSnapshot(value);
  return 'fault' in reading || formatStatus(reading.snapshot) !== '';
}

describe('readSnapshot', () => {
  it('accepts the snapshot of a daemon, and unknown keys', () => {
    expect(faultIn(received())).toBeUndefined();
    expect(faultIn({ ...received(), later: [1] })).toBeUndefined();
  });

  it('refuses a value of the wrong type anywhere, and names its path', () => {
    const paths = pathsOf(received());
    expect(paths.length).toBeGreaterThan(80);
    for (const path of paths) {
      const name = path.join('.');
      // A function stands for what is of no kind at all.
      expect(faultIn(replaced(received(), path, () => {})), name).toBe(name);
    }
  });

  it.each([
    ['pid', JSON.parse('1e999') as number],
    ['pid', '1'],
    ['workerDeaths', -1],
    ['workerDeaths', 1.5],
    ['workerDeaths', 2 ** 60],
    ['startedAt', 'soon'],
    ['version', 'x'.repeat(257)],
    ['state', 'constructor'],
  ])('refuses, as %s, the value %s', (key, value) => {
    expect(faultIn({ ...received(), [key]: value })).toBe(key);
  });

  it('refuses a text or name that is too long', () => {
    expect(faultIn({ ...received(), notReady: ['x'.repeat(64 * 1024 + 1)] })).toBe('notReady.0');
    expect(faultIn({ ...received(), services: { ['x'.repeat(257)]: {} } })).toMatch(/^services\.x{91}$/);
  });

  it('refuses lists that would take long to look through', () => {
    const [worker] = snapshot().workers;
    expect(faultIn({ ...received(), workers: Array.from({ length: 10_001 }, () => worker) })).toBe('workers');
    const refused = Array.from({ length: 101 }, () => ({ reason: 'limit', source: '192.0.2.7', count: 1 }));
    const echo = { ...snapshot().services['echo']!, offenders: { refused, dropped: [] } };
    expect(faultIn({ ...received(), services: { echo } })).toBe('services.echo.offenders.refused');
  });

  it('accepts only what formatStatus can print', () => {
    const paths = pathsOf(received());
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        expect(isShown(replaced(received(), path, value))).toBe(true);
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.jsonValue(), (value) => isShown(value)));
  });
});
