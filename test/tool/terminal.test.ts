import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ProcessTerminal, withoutOrders } from '../../src/tool/terminal.ts';

/** What moves the cursor, changes the terminal, or turns the reading direction: control and format characters of Unicode. */
const orders = /(?![\t\n\r])\p{Cc}|[\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

describe('withoutOrders', () => {
  test.each([
    ['plain text\twith\r\nlines', 'plain text\twith\r\nlines'],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['\u009b31m', '\\x9b31m'],
    ['bell\u0007 back\b null\0 delete\u007f', 'bell\\x07 back\\x08 null\\x00 delete\\x7f'],
    ['\u202eright to left\u2069', '\\u202eright to left\\u2069'],
    ['bücher ☃ 𝄞', 'bücher ☃ 𝄞'],
  ])('%j becomes %j', (text, shown) => {
    expect(withoutOrders(text)).toBe(shown);
  });

  test('leaves no order in any text, and all else as it is', () => {
    const some = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0, max: 255 })).map((codes) => String.fromCharCode(...codes)),
      fc.array(fc.constantFrom('\u001b', '\u0090', '\u202e', '\r', 'a')).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(some, (text) => {
        const shown = withoutOrders(text);
        expect(shown).not.toMatch(orders);
        if (!orders.test(text)) expect(shown).toBe(text);
        expect(withoutOrders(shown)).toBe(shown);
      }),
      { numRuns: 1000 },
    );
  });
});

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

describe('a terminal', () => {
  test('is one where standard output is', () => {
    expect(fakeProcess().terminal).toMatchObject({ isTerminal: false, columns: 80 });
    expect(fakeProcess({ errorColumns: 40 }).terminal).toMatchObject({ isTerminal: false, columns: 80 });
    expect(fakeProcess({ outputColumns: 40 }).terminal).toMatchObject({ isTerminal: true, columns: 40 });
  });

  test('prints our own text as it is', () => {
    const { terminal, output } = fakeProcess({ outputColumns: 80 });
    terminal.print('\u001b[1mbold\n');
    expect(output()).toBe('\u001b[1mbold\n');
  });

  test('gives the bytes of a peer to a program as they came', async () => {
    const { terminal, output } = fakeProcess();
    await terminal.printPeer(Buffer.from([0x1b, 0x5b, 0xff, 0x00]));
    expect(output()).toBe('\u001b[\u00ff\0');
  });

  test('shows the bytes of a peer to a person without orders', async () => {
    const { terminal, output } = fakeProcess({ outputColumns: 80 });
    await terminal.printPeer(Buffer.from('\u001b[31mred\u0007\r\n', 'latin1'));
    expect(output()).toBe('\\x1b[31mred\\x07\r\n');
  });

  test('waits for a reader that is slow', async () => {
    const { terminal, output } = fakeProcess();
    const printing = terminal.printPeer(Buffer.alloc(1024 * 1024));
    expect(await Promise.race([printing, Promise.resolve('waits')])).toBe('waits');
    while (output() !== '');
    expect(await printing).toBeUndefined();
  });

  test.each([
    ['EPIPE', [], ''],
    ['ENOSPC', [1], 'smallserv: cannot write the output: write ENOSPC\n'],
  ])('ends where its output takes no more: %s', (code, exitCode, complaint) => {
    const { process, exit, errors } = fakeProcess();
    const error = Object.assign(new Error(`write ${code}`), { code });
    expect(() => process.stdout.emit('error', error)).toThrow('exit');
    expect(exit.mock.calls).toEqual([exitCode]);
    expect(errors()).toBe(complaint);
  });

  test('complains on standard error, by name and without orders', () => {
    const { terminal, output, errors } = fakeProcess();
    terminal.complain('no \u001b[31mred');
    expect([output(), errors()]).toEqual(['', 'smallserv: no \\x1b[31mred\n']);
  });
});

test.each([
  ['a line of its own after what a peer left open', 80, 'abc', 'abc\n'],
  ['a line of its own after whole lines', 80, 'abc\n', 'abc\n'],
  ['nothing that a program reads', undefined, 'abc', 'abc'],
])('a complaint gets %s', async (_what, outputColumns, peer, shown) => {
  const { terminal, output, errors } = fakeProcess(outputColumns === undefined ? {} : { outputColumns });
  await terminal.printPeer(Buffer.from(peer));
  terminal.complain('the answer is no HTTP');
  terminal.complain('so it is');
  expect([output(), errors()]).toEqual([shown, 'smallserv: the answer is no HTTP\nsmallserv: so it is\n']);
});

describe('progress', () => {
  test('is nothing where standard error is no terminal', () => {
    const { terminal, errors } = fakeProcess({ outputColumns: 80 });
    terminal.showProgress('half');
    expect(errors()).toBe('');
  });

  test('is one line that the next replaces, and that goes before anything else is said', () => {
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

  test('is cut before the last column, where a terminal would begin another line', () => {
    const { terminal, errors } = fakeProcess({ errorColumns: 10 });
    terminal.showProgress('0123456789abc');
    expect(errors()).toBe('\r012345678\u001b[K');
  });
});

function painted(options: Parameters<typeof fakeProcess>[0], noColour: string): string {
  vi.stubEnv('NO_COLOR', noColour);
  onTestFinished(() => void vi.unstubAllEnvs());
  return fakeProcess(options).terminal.paint('red', 'text');
}

describe('colour', () => {
  test('is there on a terminal only, unless NO_COLOR is set', () => {
    expect(painted({ outputColumns: 80 }, '')).toBe('\u001b[31mtext\u001b[39m');
    expect(painted({ outputColumns: 80 }, '1')).toBe('text');
    expect(painted({}, '')).toBe('text');
  });
});

describe('signals', () => {
  test.each(['SIGINT', 'SIGTERM'])('%s aborts what is going on, the first time', (signal) => {
    const { terminal, process } = fakeProcess();
    expect(terminal.signal.aborted).toBe(false);
    process.emit(signal);
    expect(terminal.signal.aborted).toBe(true);
    // Without a listener of ours a second one does what it does to any process.
    expect(process.listenerCount(signal)).toBe(0);
  });
});
