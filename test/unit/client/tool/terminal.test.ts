import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ProcessTerminal } from '../../../../src/client/tool/terminal.ts';

function stream(columns: number | undefined): PassThrough {
  return Object.assign(new PassThrough(), columns === undefined ? { isTTY: false } : { isTTY: true, columns });
}

/** What has been written to it since the last time. */
function said(from: PassThrough): string {
  let text = '';
  // On Node 26 each call gives one chunk.
  for (let chunk = from.read() as Buffer | null; chunk !== null; chunk = from.read() as Buffer | null)
    text += chunk.toString('latin1');
  return text;
}

/** A process whose standard streams the test reads; those on a terminal are so many columns wide. */
function fakeProcess({ outputColumns, errorColumns }: { outputColumns?: number; errorColumns?: number } = {}) {
  const stdout = stream(outputColumns);
  const stderr = stream(errorColumns);
  /** It does not return: what the terminal would do after it must not happen. */
  const exit = vi.fn<(code?: number) => never>(() => {
    throw new Error('exit');
  });
  const process = Object.assign(new EventEmitter(), { stdout, stderr, stdin: new PassThrough(), exit });
  return {
    terminal: new ProcessTerminal(process as unknown as NodeJS.Process),
    process,
    exit,
    output: () => said(stdout),
    errors: () => said(stderr),
  };
}

describe('ProcessTerminal', () => {
  test('is a terminal if standard output is', () => {
    expect(fakeProcess().terminal).toMatchObject({ isTerminal: false, columns: 80 });
    expect(fakeProcess({ errorColumns: 40 }).terminal).toMatchObject({ isTerminal: false, columns: 80 });
    expect(fakeProcess({ outputColumns: 40 }).terminal).toMatchObject({ isTerminal: true, columns: 40 });
  });

  test('prints text unchanged to a pipe and escapes control characters on a terminal', () => {
    const text = '\u001b[1mbold\u009b2J\u202e\r\n';
    const program = fakeProcess();
    program.terminal.print(text);
    expect(program.output()).toBe(Buffer.from(text).toString('latin1'));
    const person = fakeProcess({ outputColumns: 80 });
    person.terminal.print(text);
    expect(person.output()).toBe('\\u001b[1mbold\\u009b2J\\u202e\\u000d\n');
  });

  test('prints peer bytes unchanged to a pipe', async () => {
    const { terminal, output } = fakeProcess();
    await terminal.printPeer(Buffer.from([0x1b, 0x5b, 0xff, 0x00]));
    expect(output()).toBe('\u001b[\u00ff\0');
  });

  test('escapes control characters from a peer on a terminal', async () => {
    const { terminal, output } = fakeProcess({ outputColumns: 80 });
    await terminal.printPeer(Buffer.from('\u001b[31mred\u0007\r\n', 'latin1'));
    expect(output()).toBe('\\u001b[31mred\\u0007\n');
  });

  test.each([
    ['a CRLF split across chunks', ['one\r', '\ntwo'], 'one\ntwo'],
    ['a bare CR, which would overwrite the line', ['one\r', 'two\rthree'], 'one\\u000dtwo\\u000dthree'],
    ['a CR at the end of the output', ['one\r', ''], 'one'],
  ])('handles %s', async (_what, parts, shown) => {
    const { terminal, output } = fakeProcess({ outputColumns: 80 });
    for (const part of parts) await terminal.printPeer(Buffer.from(part));
    terminal.print('');
    expect(output()).toBe(shown);
  });

  test('passes only printable characters, TAB and LF from a peer, however chunked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 20 })), async (parts) => {
        const { terminal, output } = fakeProcess({ outputColumns: 80 });
        for (const part of parts) await terminal.printPeer(part);
        terminal.print('\n');
        const text = Buffer.from(output(), 'latin1').toString();
        expect(text).not.toMatch(/(?![\t\n])\p{Cc}|\p{Zl}|\p{Zp}|\p{Bidi_Control}/u);
      }),
    );
  });

  test('waits for a slow reader', async () => {
    const { terminal, output } = fakeProcess();
    const printing = terminal.printPeer(Buffer.alloc(1024 * 1024));
    expect(await Promise.race([printing, Promise.resolve('waits')])).toBe('waits');
    while (output() !== '');
    expect(await printing).toBeUndefined();
  });

  test.each([
    ['EPIPE', [], ''],
    ['ENOSPC', [1], 'smallserv: cannot write the output: no space left on device\n'],
  ])('exits on output error %s', (code, exitCode, complaint) => {
    const { process, exit, errors } = fakeProcess();
    const error = Object.assign(new Error(`write ${code}`), { code });
    expect(() => process.stdout.emit('error', error)).toThrow('exit');
    expect(exit.mock.calls).toEqual([exitCode]);
    expect(errors()).toBe(complaint);
  });

  test('writes errors to stderr with the program name and escapes control characters', () => {
    const { terminal, output, errors } = fakeProcess();
    terminal.complain('no \u001b[31mred\r\nsmallserv: not ours');
    expect([output(), errors()]).toEqual(['', 'smallserv: no \\u001b[31mred\\u000d\nsmallserv: smallserv: not ours\n']);
  });
});

test.each([
  ['a new line after an unfinished line from a peer', 80, 'abc', 'abc\n'],
  ['no extra newline after a complete line', 80, 'abc\n', 'abc\n'],
  ['no extra newline in piped output', undefined, 'abc', 'abc'],
])('an error message gets %s', async (_what, outputColumns, peer, shown) => {
  const { terminal, output, errors } = fakeProcess(outputColumns === undefined ? {} : { outputColumns });
  await terminal.printPeer(Buffer.from(peer));
  terminal.complain('the answer is not HTTP');
  terminal.complain('so it is');
  expect([output(), errors()]).toEqual([shown, 'smallserv: the answer is not HTTP\nsmallserv: so it is\n']);
});

describe('a table', () => {
  test('is redrawn in its place until something else is printed', () => {
    const { terminal, output } = fakeProcess({ outputColumns: 80 });
    terminal.redraw(['one', 'two']);
    expect(output()).toBe('\r\u001b[Jone\ntwo\n');
    terminal.redraw(['three\u001b']);
    expect(output()).toBe('\r\u001b[2A\u001b[Jthree\\u001b\n');
    terminal.print('end\n');
    terminal.redraw([]);
    expect(output()).toBe('end\n\r\u001b[J');
  });

  test('is printed as it is to a pipe', () => {
    const { terminal, output } = fakeProcess();
    terminal.redraw(['one']);
    terminal.redraw(['two']);
    expect(output()).toBe('one\ntwo\n');
  });
});

describe('progress', () => {
  test('is not shown if stderr is not a terminal', () => {
    const { terminal, errors } = fakeProcess({ outputColumns: 80 });
    terminal.showProgress('half');
    expect(errors()).toBe('');
  });

  test('is one line that updates in place and is cleared before other output', () => {
    const { terminal, errors, output } = fakeProcess({ errorColumns: 80 });
    terminal.showProgress('half');
    terminal.showProgress('half');
    terminal.showProgress('all');
    expect(errors()).toBe('\rhalf\u001b[K\rall\u001b[K');
    terminal.print('done\n');
    expect([output(), errors()]).toEqual(['done\n', '\r\u001b[K']);
    terminal.complain('oh');
    expect(errors()).toBe('smallserv: oh\n');
  });

  test('is cleared at the exit', () => {
    const { terminal, process, errors } = fakeProcess({ errorColumns: 80 });
    terminal.showProgress('half');
    process.emit('exit');
    expect(errors()).toBe('\rhalf\u001b[K\r\u001b[K');
  });

  test('is cut before the last column so that it does not wrap', () => {
    const { terminal, errors } = fakeProcess({ errorColumns: 10 });
    terminal.showProgress('0123456789abc');
    expect(errors()).toBe('\r012345678\u001b[K');
  });

  test('escapes control characters in its text', () => {
    const { terminal, errors } = fakeProcess({ errorColumns: 80 });
    terminal.showProgress('\u001b[2J\r');
    expect(errors()).toBe('\r\\u001b[2J\\u000d\u001b[K');
  });
});

function painted(
  options: Parameters<typeof fakeProcess>[0],
  noColor: string,
  choice: 'auto' | 'always' | 'never' = 'auto',
): string {
  vi.stubEnv('NO_COLOR', noColor);
  vi.stubEnv('FORCE_COLOR', '');
  vi.stubEnv('TERM', 'xterm');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { terminal, output } = fakeProcess(options);
  terminal.chooseColor(choice);
  terminal.print(`\u001b[1mnot ours${terminal.paint('red', 'te\u001b[32mxt')}`);
  return output();
}

describe('color', () => {
  test('is added only on a terminal without NO_COLOR, where other escape sequences are shown as text', () => {
    const plain = '\\u001b[1mnot ourste\\u001b[32mxt';
    expect(painted({ outputColumns: 80 }, '')).toBe('\\u001b[1mnot ours\u001b[31mte\\u001b[32mxt\u001b[39m');
    expect(painted({ outputColumns: 80 }, '1')).toBe(plain);
    expect(painted({}, '')).toBe('\u001b[1mnot ourste\u001b[32mxt');
  });

  test('is added wherever it is asked for, and nowhere if it is refused', () => {
    expect(painted({}, '1', 'always')).toBe('\u001b[1mnot ours\u001b[31mte\\u001b[32mxt\u001b[39m');
    expect(painted({ outputColumns: 80 }, '', 'never')).toBe('\\u001b[1mnot ourste\\u001b[32mxt');
  });
});

describe('signals', () => {
  test.each(['SIGINT', 'SIGTERM'])('the first %s aborts the current operation', (signal) => {
    const { terminal, process } = fakeProcess();
    expect(terminal.signal.aborted).toBe(false);
    process.emit(signal);
    expect(terminal.signal.aborted).toBe(true);
    // Without a listener of ours a second one does what it does to any process.
    expect(process.listenerCount(signal)).toBe(0);
  });
});
