import * as fc from 'fast-check';
import { describe, expect, it, test, vi } from 'vitest';
import { checkEvent } from '../../../src/server/admin/event-shape.ts';
import { RecentLines } from '../../../src/server/recent-lines.ts';

function recent(...lines: readonly string[]): RecentLines {
  const all = new RecentLines();
  for (const line of lines) all.add(line);
  return all;
}

describe('RecentLines', () => {
  it('keeps lines at warn and above, newest first', () => {
    const lines = ['debug', 'info', 'warn', 'error', 'fatal'].map((level) => `{"level":"${level}","msg":"m"}\n`);
    expect(recent(...lines).entries.map(({ level }) => level)).toEqual(['fatal', 'error', 'warn']);
  });

  it('reads time, message and fields', () => {
    const line = '{"level":"warn","time":"2026-11-22T11:07:12.000Z","service":"echo","count":2,"msg":"loop"}\n';
    expect(recent(line).entries).toEqual([
      { level: 'warn', time: '2026-11-22T11:07:12.000Z', message: 'loop', fields: { service: 'echo', count: 2 } },
    ]);
  });

  it('keeps the last 50', () => {
    const lines = Array.from({ length: 60 }, (_, index) => `{"level":"warn","msg":"${index}"}\n`);
    const { entries } = recent(...lines);
    expect(entries).toHaveLength(50);
    expect([entries[0]?.message, entries.at(-1)?.message]).toEqual(['59', '10']);
  });

  it('cuts the values of a line that is too long', () => {
    const line = { level: 'error', time: '2026-11-22T11:07:12.000Z', service: 'echo', errors: ['x'.repeat(10_000)] };
    const [entry] = recent(`${JSON.stringify({ ...line, more: 1, msg: 'failed' })}\n`).entries;
    expect(entry).toMatchObject({ level: 'error', time: line.time, message: 'failed' });
    expect(Object.keys(entry?.fields ?? {})).toEqual(['service', 'errors']);
    expect(entry?.fields['errors']).toMatch(/^\["x{1800,1990}…$/);
    const [long] = recent(`{"level":"warn","msg":"${'x'.repeat(60_000)}","more":1}\n`).entries;
    expect(long).toMatchObject({ level: 'warn', time: undefined, fields: {} });
    expect(long?.message).toMatch(/^x{1900,1990}…$/);
  });

  it('shows the start of a line that is far too long, and a line that is not JSON, as it is', () => {
    const [long] = recent(`{"level":"error","msg":"${'x'.repeat(70_000)}"}\n`).entries;
    expect(long).toMatchObject({ level: 'error', time: undefined, fields: {} });
    expect(long?.message).toHaveLength(2000);
    expect(recent('{"level":"warn", what a worker may write\n').entries[0]?.message).toBe(
      '{"level":"warn", what a worker may write',
    );
  });

  it('takes level and time only from the beginning', () => {
    const time = '2026-11-22T11:07:12.000Z';
    const more = `"time":"${'t'.repeat(300)}","level":"${'l'.repeat(300)}","msg":"bad query"`;
    const expected = { level: 'warn', message: 'bad query', fields: {} };
    expect(recent(`{"level":"warn","time":"${time}",${more}}\n`).entries).toEqual([{ ...expected, time }]);
    expect(recent(`{"level":"warn",${more}}\n`).entries).toEqual([{ ...expected, time: undefined }]);
  });

  it.each([9, 10, 70, 900, 30_000])('shows a value with %i levels such that a client accepts it', (levels) => {
    const value = `${'['.repeat(levels)}${']'.repeat(levels)}`;
    const { entries } = recent(`{"level":"error","a":[${value}],"msg":"deep"}\n`);
    const { message, fields } = entries[0]!;
    if (levels < 10) expect(fields['a']).toEqual(JSON.parse(`[${value}]`));
    else expect(`${String(fields['a'])}${message}`).toContain('[[[[');
    expect(Object.values(fields).every((field) => levels < 10 || typeof field === 'string')).toBe(true);
    const sent: unknown = JSON.parse(JSON.stringify(entries));
    expect(checkEvent('log', sent)).toEqual({ event: { name: 'log', value: sent } });
  });

  it('reads each line once, and only for someone who looks', () => {
    const parse = vi.spyOn(JSON, 'parse');
    try {
      const lines = recent(
        ...Array.from({ length: 60 }, (_, index) => `{"level":"warn","a":"${'x'.repeat(9999)}${index}"}`),
      );
      expect(parse).not.toHaveBeenCalled();
      const { entries } = lines;
      parse.mockClear();
      expect(lines.entries).toEqual(entries);
      expect(parse).not.toHaveBeenCalled();
      lines.add('{"level":"warn","msg":"new"}');
      expect(lines.entries.slice(0, 2)).toEqual([expect.objectContaining({ message: 'new' }), entries[0]]);
      expect(lines.entries).toHaveLength(50);
    } finally {
      parse.mockRestore();
    }
  });

  it('takes only text for time and message', () => {
    expect(recent('{"level":"warn","time":5,"msg":{"a":1}}\n').entries).toEqual([
      { level: 'warn', time: undefined, message: '', fields: {} },
    ]);
  });
});

test('any line is read', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 4000 }), fc.json(), (text, json) => {
      const { entries } = recent(
        `{"level":"warn"${text}\n`,
        `{"level":"warn","f":${json}}\n`,
        `{"level":"warn","f":${json},"msg":${JSON.stringify(text.repeat(9))},"g":${json}}\n`,
      );
      expect(entries).toHaveLength(3);
      for (const { message } of entries) expect(message.length).toBeLessThanOrEqual(2000);
    }),
  );
});
