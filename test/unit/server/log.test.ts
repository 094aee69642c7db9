import fs, { mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLog, LogSink, readableShape, withPriority } from '../../../src/server/log.ts';
import { until } from '../../support/wait.ts';

/** A sink that keeps its lines. */
class Kept {
  readonly lines: string[] = [];

  write(line: string): void {
    this.lines.push(line);
  }
}

describe('createLog', () => {
  it('writes one JSON line per call, with level name, time, fields and message', () => {
    const sink = new Kept();
    createLog({ level: 'info' }, sink).info({ service: 'echo', bytesIn: 3 }, 'closed');
    expect(sink.lines).toHaveLength(1);
    expect(sink.lines[0]).toMatch(/^\{"level":"info",.*\}\n$/);
    const { time, ...rest } = JSON.parse(sink.lines[0] ?? '') as { time: string };
    expect(rest).toEqual({ level: 'info', service: 'echo', bytesIn: 3, msg: 'closed' });
    expect(new Date(time).toISOString()).toBe(time);
  });

  it('adds the bindings to every line', () => {
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
  ] as const)('writes, at log.level %s, only %j', (level, expected) => {
    const sink = new Kept();
    const log = createLog({ level }, sink);
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]({}, 'line');
    expect(sink.lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(expected);
  });

  it('keeps control characters inside their field and a record on one line', () => {
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

  it('appends to an existing file', async () => {
    writeFileSync(path, 'old\n');
    const sink = await LogSink.file(path, null);
    expect(sink.isStandardOutput).toBe(false);
    sink.write('one\n');
    sink.write('two\n');
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('old\none\ntwo\n');
  });

  it('escapes terminal control characters that JSON allows unescaped', async () => {
    const sink = await LogSink.file(path, null);
    sink.write(`${JSON.stringify({ text: '\u009b2J\u007f\u2028\u202e\u2067' })}\n`);
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('{"text":"\\u009b2J\\u007f\\u2028\\u202e\\u2067"}\n');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ text: '\u009b2J\u007f\u2028\u202e\u2067' });
  });

  it('escapes every control character of a foreign line and keeps it on one line', async () => {
    const sink = await LogSink.file(path, null);
    const controls = Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)).filter(
      (each) => each !== '\n',
    );
    for (const control of controls) sink.write(`{"msg":"a${control}[2Jb"}\n`);
    sink.write('no JSON \u001b[31mred\r\t\n');
    await sink.flush();
    const text = readFileSync(path, 'utf8');
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\0-\u0009\u000b-\u001f]/);
    const lines = text.trimEnd().split('\n');
    expect(lines.pop()).toBe('no JSON \\u001b[31mred\\u000d\\u0009');
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(controls.map((each) => ({ msg: `a${each}[2Jb` })));
  });

  it('writes to a new file after a rename and reopen, losing no line', async () => {
    const sink = await LogSink.file(path, null);
    sink.write('before\n');
    await sink.flush();
    renameSync(path, `${path}.1`);
    sink.write('between\n');
    await sink.flush();
    await sink.reopen();
    sink.write('after\n');
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('after\n');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('before\nbetween\n');
  });

  it('fails with the file name if the directory is missing, without a retry', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const missing = join(directory, 'none', 'log');
    await expect(LogSink.file(missing, null)).rejects.toMatchObject({
      code: 'LOG_FILE',
      exitCode: 1,
      message: expect.stringContaining(`log.file ${missing}: `),
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('reports lost lines once, when the file accepts lines again', async () => {
    const sink = await LogSink.file(path, null);
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

  it('reports lines lost elsewhere, even when no write is pending', async () => {
    const sink = await LogSink.file(path, null);
    sink.reportLostLines(createLog({ level: 'info' }, sink));
    sink.write('{}\n');
    await sink.flush();
    sink.addLost(0);
    sink.addLost(3);
    await sink.flush();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { lines?: number }).lines)).toEqual([undefined, 3]);
  });

  it('counts lines lost elsewhere', async () => {
    const sink = await LogSink.file(path, null);
    sink.addLost(3);
    expect(sink.takeLost()).toBe(3);
    expect(sink.takeLost()).toBe(0);
  });
});

/** Some of the event loop: what is due by then has happened. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1)
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
}

describe('LogSink.reopen', () => {
  let directory = '';
  let path = '';
  let files = 0;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'smallservd-reopen-'));
    path = join(directory, 'log');
    files = 0;
  });

  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Moves the log file away; gives its new path. */
  function moveAway(): string {
    files += 1;
    renameSync(path, `${path}.${files}`);
    return `${path}.${files}`;
  }

  /** All that was written, in the order of the files. */
  function written(): string {
    const moved = Array.from({ length: files }, (_, index) => readFileSync(`${path}.${index + 1}`, 'utf8'));
    return [...moved, readFileSync(path, 'utf8')].join('');
  }

  /** On what is in the directory of the log. */
  function openFiles(): readonly string[] {
    return readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${fd}`);
        return target.startsWith(dirname(path)) ? [target] : [];
      } catch {
        return [];
      }
    });
  }

  /** What every write of a sink goes through; `write` is Node's own. */
  type Write = (fd: number, bytes: Uint8Array, done: (error: Error | null, written?: number) => void) => void;

  function interceptWrites(intercept: (write: Write) => Write): void {
    const write = fs.write.bind(fs);
    const own: Write = (fd, bytes, done) => write(fd, bytes, 0, bytes.length, null, (error, n) => done(error, n));
    const changed = intercept(own);
    const replacement = (fd: number, data: Uint8Array | string, ...rest: unknown[]): void => {
      changed(fd, Buffer.from(data as string), rest.at(-1) as Parameters<Write>[2]);
    };
    vi.spyOn(fs, 'write').mockImplementation(replacement);
  }

  it('opens no second descriptor if the file has not moved, even when called repeatedly', async () => {
    const sink = await LogSink.file(path, null);
    sink.write('one\n');
    await Promise.all([sink.reopen(), sink.reopen(), sink.reopen()]);
    sink.write('two\n');
    await sink.flush();
    expect(written()).toBe('one\ntwo\n');
    await until(() => openFiles().length === 1, 'one descriptor');
  });

  it('closes the old file', async () => {
    const sink = await LogSink.file(path, null);
    sink.write('one\n');
    moveAway();
    await Promise.all([sink.reopen(), sink.reopen(), sink.reopen()]);
    await until(() => openFiles().join() === path, 'the descriptor of the new file alone');
  });

  it('creates a new file if the old file was deleted', async () => {
    const sink = await LogSink.file(path, null);
    rmSync(path);
    await sink.reopen();
    sink.write('two\n');
    await sink.flush();
    expect(written()).toBe('two\n');
  });

  it('never loses, duplicates or reorders a line under any interleaving', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('write' as const) },
      fc.constantFrom('move', 'reopen', 'reopen later', 'flush', 'turn'),
    );
    // How many bytes the next writes take.
    let appetites: Iterator<number> = [].values();
    interceptWrites((write) => (fd, bytes, done) => write(fd, bytes.subarray(0, appetites.next().value), done));
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
        async (steps, sizes) => {
          path = join(mkdtempSync(join(directory, 'round-')), 'log');
          files = 0;
          appetites = sizes;
          const sink = await LogSink.file(path, null);
          let isMoved = false;
          let lines = '';
          const pending: Promise<void>[] = [];
          for (const [index, each] of steps.entries()) {
            if (each === 'write') {
              const line = `${index} ${'x'.repeat(index % 7)}\n`;
              lines += line;
              sink.write(line);
            } else if (each === 'move') {
              if (!isMoved) moveAway();
              isMoved = true;
            } else if (each === 'reopen') {
              await Promise.all([...pending.splice(0), sink.reopen()]);
              isMoved = false;
            } else if (each === 'reopen later') {
              pending.push(sink.reopen());
            } else if (each === 'flush') {
              await sink.flush();
            } else {
              await new Promise((resolve) => {
                setImmediate(resolve);
              });
            }
            // A reopening that nobody waited for may have made the file by now.
            if (isMoved && fs.existsSync(path)) isMoved = false;
          }
          await Promise.all([...pending, sink.reopen()]);
          await sink.flush();
          expect(written()).toBe(lines);
          await until(() => openFiles().join() === path, 'one descriptor');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('finishes the old file while its disk stalls, with at most one old file pending', async () => {
    const held: (() => void)[] = [];
    let stalled: number | undefined;
    interceptWrites((write) => (fd, bytes, done) => {
      stalled ??= fd;
      if (fd === stalled) held.push(() => write(fd, bytes, done));
      else write(fd, bytes, done);
    });
    const sink = await LogSink.file(path, null);
    sink.write('1\n');
    sink.write('2\n');
    const first = moveAway();
    await sink.reopen();
    sink.write('3\n');
    await until(() => readFileSync(path, 'utf8') === '3\n', 'the line in the new file');
    expect(readFileSync(first, 'utf8')).toBe('');

    const second = moveAway();
    await expect(sink.reopen()).rejects.toMatchObject({
      code: 'LOG_FILE',
      message: `log.file ${path}: lines for the previous file are still queued`,
    });
    sink.write('4\n');
    await until(() => readFileSync(second, 'utf8') === '3\n4\n', 'the line in the file that goes on');

    stalled = -1;
    for (const each of held.splice(0)) each();
    await sink.flush();
    await sink.reopen();
    sink.write('5\n');
    await sink.flush();
    expect(written()).toBe('1\n2\n3\n4\n5\n');
    await until(() => openFiles().join() === path, 'one descriptor');
  });

  it('finishes the old file, including a partial line, after its disk was full', async () => {
    let full: number | undefined;
    interceptWrites((write) => (fd, bytes, done) => {
      full ??= fd;
      if (fd !== full) write(fd, bytes, done);
      else if (bytes.length > 1) write(fd, bytes.subarray(0, 1), done);
      else done(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    });
    const sink = await LogSink.file(path, null);
    sink.write('one\n');
    sink.write('two\n');
    const first = moveAway();
    await until(() => readFileSync(first, 'utf8') === 'one', 'the disk to be full');
    await sink.reopen();
    sink.write('three\n');
    await until(() => readFileSync(path, 'utf8') === 'three\n', 'the line in the new file');
    full = -1;
    await until(() => openFiles().join() === path, 'the descriptor of the new file alone');
    expect(written()).toBe('one\ntwo\nthree\n');
  });

  it('retries once a second while the disk is full, regardless of the number of lines', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    let tries = 0;
    interceptWrites(() => (_fd, _bytes, done) => {
      tries += 1;
      setImmediate(() => done(Object.assign(new Error('no space'), { code: 'ENOSPC' })));
    });
    const sink = await LogSink.file(path, null);
    for (let line = 1; line <= 20; line += 1) {
      sink.write(`${line}\n`);
      await turns();
    }
    expect(vi.getTimerCount()).toBe(1);
    for (let second = 1; second <= 5; second += 1) {
      const before = tries;
      vi.advanceTimersByTime(1000);
      await turns();
      expect([tries - before, vi.getTimerCount()]).toEqual([1, 1]);
    }
  });

  it('leaks no event listener on repeated flushes, completed or timed out', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const warn = vi.spyOn(process, 'emitWarning');
    const held: (() => void)[] = [];
    let isStalled = false;
    interceptWrites((write) => (fd, bytes, done) => {
      if (isStalled) held.push(() => write(fd, bytes, done));
      else write(fd, bytes, done);
    });
    const sink = await LogSink.file(path, null);
    for (let flush = 0; flush < 20; flush += 1) {
      sink.write('line\n');
      await sink.flush();
    }
    isStalled = true;
    sink.write('line\n');
    for (let flush = 0; flush < 20; flush += 1) {
      const flushing = sink.flush();
      vi.advanceTimersByTime(1000);
      await flushing;
    }
    expect(warn).not.toHaveBeenCalled();
    for (const each of held) each();
    await sink.flush();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('readableShape', () => {
  it('formats a JSON line for people', async () => {
    const line = '{"level":"info","time":"2026-11-22T11:07:12.000Z","service":"echo","msg":"one\\ntwo\\u202e"}\n';
    expect((await readableShape())(line)).toMatch(/^\[[\d:.]+\] INFO: one\\ntwo\\u202e \{"service":"echo"\}\n$/);
  });

  it('begins no line but the first at the margin, whatever the fields are', async () => {
    const readable = await readableShape();
    const forged = 'x)\n[21:25:00.000] ERROR: forged';
    for (const name of [
      'name',
      'pid',
      'hostname',
      'caller',
      'level',
      'time',
      'timestamp',
      'msg',
      'err',
      'stack',
      'other',
    ])
      for (const value of [forged, [forged], { stack: forged, type: 'Error', message: forged }])
        for (const line of [
          JSON.stringify({ [name]: value }),
          JSON.stringify({ type: 'Error', msg: 'x', [name]: value }),
        ])
          for (const text of [line, line.replaceAll('\\n', '\\u000A')])
            expect(readable(`${text}\n`), text).toMatch(/^.*\n(\s+.*\n)*$/);
    expect(readable(`${JSON.stringify({ level: 'info', name: forged, msg: 'hello' })}\n`)).toBe(
      'INFO (x)\\n[21:25:00.000] ERROR: forged): hello\n',
    );
  });

  it('never throws, and passes lines it cannot parse through with controls escaped', async () => {
    const readable = await readableShape();
    expect(readable('{"level":{"toString":1}}\n')).toBe('{"level":{"toString":1}}\n');
    const deep = `{"msg":${'['.repeat(8000)}${']'.repeat(8000)}}\n`;
    expect(() => readable(deep)).not.toThrow();
    // Every key that pino-pretty knows, with any value.
    const keys = fc.constantFrom('level', 'time', 'msg', 'pid', 'name', 'hostname', 'caller', 'err', 'stack', 'type');
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom({ toString: 1 }, { valueOf: null }));
    fc.assert(
      fc.property(fc.dictionary(keys, value), (fields) => {
        expect(readable(`${JSON.stringify(fields)}\n`)).toMatch(/\n$/);
      }),
    );
  });
});

it.each([
  ['{"level":"warn","msg":"x"}', 4],
  ['{"level":"trace","msg":"x"}', 7],
  ['{"level":"constructor","msg":"x"}', 6],
  ['no JSON', 6],
])('gives the journal the priority of %s', (line, priority) => {
  expect(withPriority(line)).toBe(`<${priority}>${line}`);
});
