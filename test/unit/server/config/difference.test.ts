import { assert, dictionary, jsonValue, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configDifferences, formatDifference } from '../../../../src/server/config/difference.ts';

describe('configDifferences', () => {
  it('reports each key that differs, with lists compared as a whole', () => {
    const before = {
      workers: 2,
      log: { level: 'info', file: null },
      services: { echo: { allow: ['a', 'b'] }, time: {} },
    };
    const after = { workers: 2, log: { level: 'debug', file: null }, services: { echo: { allow: ['a'] }, qotd: {} } };
    expect(configDifferences(before, after).map(formatDifference)).toEqual([
      '~ log.level: "info" → "debug"',
      '~ services.echo.allow: ["a","b"] → ["a"]',
      '- services.time: {}',
      '+ services.qotd: {}',
    ]);
  });

  it('does not mistake inherited properties for keys', () => {
    expect(configDifferences({}, { toString: 1 }).map(formatDifference)).toEqual(['+ toString: 1']);
  });

  it('finds differences only between configs that differ', () => {
    const configs = dictionary(string(), jsonValue());
    assert(
      property(configs, configs, (one, other) => {
        expect(configDifferences(one, structuredClone(one))).toEqual([]);
        const same = JSON.stringify(sorted(plain(one))) === JSON.stringify(sorted(plain(other)));
        expect(configDifferences(plain(one), plain(other)).length === 0).toBe(same);
      }),
    );
  });
});

/** As JSON has it: without -0, say. */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

/** With the keys in order: a config means the same, in whatever order it is written. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, each]) => [key, sorted(each)]);
}
