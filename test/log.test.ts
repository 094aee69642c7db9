import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLog, LogSink } from '../src/log.ts';
import { until } from './support/wait.ts';

/** A sink that keeps its lines. */
class Kept {
  readonly lines: string[] = [];

  write(line: string): void {
    this.lines.push(line);
  }
}

describe('createLog', () => {
  it('writes a finished JSON line a call: level by name, time, fields, message', () => {
    const sink = new Kept();
    createLog({ level: 'info' }, sink).info({ service: 'echo', bytesIn: 3 }, 'closed');
    expect(sink.lines).toHaveLength(1);
    expect(sink.lines[0]).toMatch(/^\{"level":"info",.*\}\n$/);
    const { time, ...rest } = JSON.parse(sink.lines[0] ?? '') as { time: string };
    expect(rest).toEqual({ level: 'info', service: 'echo', bytesIn: 3, msg: 'closed' });
    expect(new Date(time).toISOString()).toBe(time);
  });

  it('puts the bindings into every line', () => {
    const sink = new Kept();
    const log = createLog({ level: 'info' }, sink, { worker: 2 });
    log.info({}, 'one');
    log.child({ service: 'echo' }).warn({}, 'two');
    expect(sink.lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: 'info', worker: 2 },
      { level: 'warn', worker: 2, service: 'echo' },
    ]);
  });

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ] as const)('log.level %s lets through %j', (level, expected) => {
    const sink = new Kept();
    const log = createLog({ level }, sink);
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]({}, 'line');
    expect(sink.lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(expected);
  });

  it('control characters in a field stay inside it, and one line stays one', () => {
    const sink = new Kept();
    createLog({ level: 'info' }, sink).info({ input: 'a\n{"level":"error"}\u001b[2J\r\0' }, 'message');
    const codes = Array.from(sink.lines.join(''), (character) => character.charCodeAt(0));
    expect(codes.pop()).toBe(0x0a);
    expect(codes.filter((code) => code < 0x20)).toEqual([]);
  });

  it('writes an error with its message and stack', () => {
    const sink = new Kept();
    createLog({ level: 'info' }, sink).error({ err: new Error('broken') }, 'it failed');
    expect(JSON.parse(sink.lines[0] ?? '')).toMatchObject({
      msg: 'it failed',
      err: { message: 'broken', stack: expect.stringContaining('log.test.ts') },
    });
  });
});

describe('LogSink.file', () => {
  let directory = '';
  let path = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'smallservd-log-'));
    path = join(directory, 'log');
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('appends lines to what is there', async () => {
    writeFileSync(path, 'old\n');
    const sink = await LogSink.file(path);
    expect(sink.isStandardOutput).toBe(false);
    sink.write('one\n');
    sink.write('two\n');
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('old\none\ntwo\n');
  });

  it('escapes what JSON leaves as it is but terminals obey', async () => {
    const sink = await LogSink.file(path);
    sink.write(`${JSON.stringify({ text: '\u009b2J\u007f\u2028\u202e\u2067' })}\n`);
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('{"text":"\\u009b2J\\u007f\\u2028\\u202e\\u2067"}\n');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ text: '\u009b2J\u007f\u2028\u202e\u2067' });
  });

  it('after it was moved away, reopen writes to a new file of the old name; no line is lost', async () => {
    const sink = await LogSink.file(path);
    sink.write('before\n');
    await sink.flush();
    renameSync(path, `${path}.1`);
    sink.write('between\n');
    await sink.flush();
    sink.reopen();
    sink.write('after\n');
    const all = (): string => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return '';
      }
    };
    await until(() => all() !== '', 'the new file');
    expect(all()).toBe('after\n');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('before\nbetween\n');
  });

  it('a folder that is missing is an error that names the file, and is not tried again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const missing = join(directory, 'none', 'log');
    await expect(LogSink.file(missing)).rejects.toMatchObject({
      code: 'LOG_FILE',
      exitCode: 1,
      message: expect.stringContaining(`log.file ${missing}: `),
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lines that are lost are reported once, when the file takes lines again', async () => {
    const sink = await LogSink.file(path);
    sink.reportLostLines(createLog({ level: 'info' }, sink));
    // More than may wait at once, in one turn of the event loop: the reader has no chance.
    const line = `${'x'.repeat(1023)}\n`;
    for (let count = 0; count < 8 * 1024; count += 1) sink.write(line);
    const written = (): readonly string[] => readFileSync(path, 'utf8').trimEnd().split('\n');
    await until(() => written().some((each) => each.startsWith('{')), 'the report');
    const report = JSON.parse(written().find((each) => each.startsWith('{')) ?? '') as { lines: number };
    const kept = written().filter((each) => each.startsWith('x'));
    expect(report).toMatchObject({ level: 'warn', lines: 8 * 1024 - kept.length });
    expect(kept.every((each) => each.length === 1023)).toBe(true);
    expect(report.lines).toBeGreaterThan(0);
    await sink.flush();
    expect(sink.takeLost()).toBe(0);
  });

  it('lines that were lost elsewhere are reported, also when nothing waits any more', async () => {
    const sink = await LogSink.file(path);
    sink.reportLostLines(createLog({ level: 'info' }, sink));
    sink.write('{}\n');
    await sink.flush();
    sink.addLost(0);
    sink.addLost(3);
    await sink.flush();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { lines?: number }).lines)).toEqual([undefined, 3]);
  });

  it('counts lines that were lost elsewhere', async () => {
    const sink = await LogSink.file(path);
    sink.addLost(3);
    expect(sink.takeLost()).toBe(3);
    expect(sink.takeLost()).toBe(0);
  });
});
