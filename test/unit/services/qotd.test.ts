import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type QotdOptions, qotd } from '../../../src/services/qotd.ts';
import { builtInQuotations, parseQuotations } from '../../../src/services/quotations.ts';
import { ConfigError, type Service } from '../../../src/service.ts';
import { connect } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-qotd-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function create(
  options: { choice?: QotdOptions['choice']; content?: string },
  now?: string,
): Promise<{ context: FakeContext; service: Service }> {
  const context = new FakeContext(now);
  let file: string | null = null;
  if (options.content !== undefined) {
    file = join(directory, 'quotations');
    writeFileSync(file, options.content);
  }
  return { context, service: await qotd.create({ file, choice: options.choice ?? 'random' }, context) };
}

function texts(content: string): string[] {
  return parseQuotations(content, 'q').map((bytes) => Buffer.from(bytes).toString('latin1'));
}

function refusal(content: string): ConfigError {
  try {
    parseQuotations(content, 'q');
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a file of quotations', () => {
  it.each([
    ['has one quotation per line', 'one\ntwo\n', ['one\r\n', 'two\r\n']],
    ['may end without a newline', 'one\ntwo', ['one\r\n', 'two\r\n']],
    ['may use CR LF', 'one\r\ntwo\r\n', ['one\r\n', 'two\r\n']],
    ['may contain empty lines', '\n\none\n   \ntwo\n\n', ['one\r\n', 'two\r\n']],
    ['may be separated by %', 'one\nmore\n%\ntwo\n', ['one\r\nmore\r\n', 'two\r\n']],
    ['may start and end with %', '%\none\n%\n%\n\n%\ntwo\n%\n', ['one\r\n', 'two\r\n']],
    ['may combine % and CR LF', 'one\r\nmore\r\n%\r\ntwo\r\n', ['one\r\nmore\r\n', 'two\r\n']],
    ['may contain a % within a line', '100 %\n50%\n%%\n', ['100 %\r\n', '50%\r\n', '%%\r\n']],
  ])('%s', (_name, content, expected) => {
    expect(texts(content)).toEqual(expected);
  });

  it('holds quotations of up to 511 characters including line ends', () => {
    expect(texts('x'.repeat(509))[0]).toHaveLength(511);
    expect(texts(`%\n${'x'.repeat(253)}\n${'y'.repeat(254)}`)[0]).toHaveLength(511);
  });

  it.each([
    ['a line of 510 characters and CR LF', `one\n${'x'.repeat(510)}\ntwo`, 2],
    [
      'lines of 512 characters in total, at the first line',
      `one\n%\n\n${'x'.repeat(254)}\n${'y'.repeat(254)}\n%\ntwo`,
      4,
    ],
    ['the last quotation', `one\n%\n${'x'.repeat(510)}`, 3],
    ['a tab', 'one\ntwo\tthree', 2],
    ['a NUL', 'one\n\0', 2],
    ['a DEL', 'one\x7f', 1],
    ['an escape', '\x1b[2J', 1],
    ['a byte above ASCII, at its own line', 'one\n%\ntwo\nd\xe9j\xe0 vu', 4],
  ])('is refused with file and line for %s', (_name, content, line) => {
    expect(refusal(content)).toMatchObject({ file: 'q', line });
  });

  it('is refused with the offending byte in hex', () => {
    expect(refusal('d\xe9').message).toContain('0xe9');
    expect(refusal('d\t').message).toContain('0x09');
  });

  it.each(['', '\n\n', '%\n%\n', '  \n'])('is refused if it holds no quotation: %j', (content) => {
    expect(refusal(content)).toMatchObject({ file: 'q', option: 'file' });
  });

  it('yields only quotations allowed by RFC 865 or throws ConfigError', () => {
    const piece = fc.oneof(
      fc.constantFrom('%', '\n', '\r\n', '\r', '', 'word ', 'x'.repeat(300)),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        let found: string[];
        try {
          found = texts(Buffer.from(pieces.join('')).toString('latin1'));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          return;
        }
        expect(found.length).toBeGreaterThan(0);
        for (const text of found) {
          expect(text.length).toBeLessThan(512);
          expect(text).toMatch(/^([ -~]+\r\n)+$/);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['a missing file', () => join(directory, 'missing'), 'no such file'],
    ['a directory', () => directory, 'it is a directory'],
  ])('is refused with the cause: %s', async (_name, path, cause) => {
    const created = Promise.resolve(qotd.create({ file: path(), choice: 'random' }, new FakeContext()));
    await expect(created).rejects.toBeInstanceOf(ConfigError);
    await expect(created).rejects.toMatchObject({
      option: 'file',
      file: path(),
      message: expect.stringContaining(cause),
    });
  });
});

describe('qotd over TCP (RFC 865)', () => {
  it.each([
    [0, 'a\r\n'],
    [0.34, 'bb\r\n'],
    [0.999, 'ccc\r\n'],
  ])('sends a random quotation (%d), then closes', async (random, text) => {
    const { context, service } = await create({ content: 'bb\nccc\na\n' });
    context.randomNumbers.push(random);
    expect(connect(service)).toMatchObject({ text, ended: true });
  });

  it('has built-in quotations, several short enough for an empty datagram', async () => {
    expect(builtInQuotations.length).toBeGreaterThanOrEqual(12);
    expect(builtInQuotations.filter((bytes) => bytes.length <= 86).length).toBeGreaterThanOrEqual(6);
    const { context, service } = await create({});
    context.randomNumbers.push(0.5);
    expect(connect(service).text).toMatch(/^[ -~]+ -- [A-Z][A-Za-z ]+\r\n$/);
  });
});

describe('qotd over UDP', () => {
  it.each([
    [2, 0.5, undefined],
    [3, 0.999, 'a\r\n'],
    [4, 0, 'a\r\n'],
    [4, 0.999, 'bb\r\n'],
    [5, 0.999, 'ccc\r\n'],
    [512, 0.999, 'ccc\r\n'],
    [-1, 0.5, undefined],
  ])('sends a random quotation that fits %i bytes (%d)', async (limit, random, expected) => {
    const { context, service } = await create({ content: 'bb\nccc\na\n' });
    context.randomNumbers.push(random);
    const reply = service.datagram?.(Buffer.alloc(0), limit, nowhere);
    expect(reply).toEqual(expected === undefined ? undefined : Buffer.from(expected));
  });

  it('names its hazard', () => {
    expect(qotd.udpHazard).toBeTruthy();
  });
});

describe('qotd with choice daily', () => {
  it('sends the same quotation for a UTC day, then the next, and starts over at the end', async () => {
    const { context, service } = await create(
      { content: 'one\ntwo\nthree\n', choice: 'daily' },
      '2026-11-22T00:00:00Z',
    );
    const days = Array.from({ length: 4 }, () => {
      const first = connect(service).text;
      context.nowMs += 86_399_999;
      expect(connect(service).text).toBe(first);
      context.nowMs += 1;
      return first;
    });
    expect(new Set(days).size).toBe(3);
    expect(days[3]).toBe(days[0]);
  });

  it('sends the same quotation in every process', async () => {
    const one = await create({ content: 'one\ntwo\nthree\n', choice: 'daily' }, '2026-11-22T01:00:00Z');
    const other = await create({ content: 'one\ntwo\nthree\n', choice: 'daily' }, '2026-11-22T23:00:00Z');
    expect(connect(one.service).text).toBe(connect(other.service).text);
  });

  it('sends no UDP reply if the quotation does not fit, even if another would', async () => {
    // Day 20779 since 1970 is the second of three.
    const { service } = await create({ content: 'a\nlong one\nb\n', choice: 'daily' }, '2026-11-22T00:00:00Z');
    expect(20_779 % 3).toBe(1);
    expect(service.datagram?.(Buffer.alloc(0), 10, nowhere)).toEqual(Buffer.from('long one\r\n'));
    expect(service.datagram?.(Buffer.alloc(0), 9, nowhere)).toBeUndefined();
  });

  it('works with a clock before 1970', async () => {
    const { service } = await create({ content: 'one\ntwo\n', choice: 'daily' }, '1969-12-30T12:00:00Z');
    expect(connect(service).text).toMatch(/^(one|two)\r\n$/);
  });
});

describe('an oversized file', () => {
  it.each(['a\n', 'a\n%\n'])('with more than 100,000 quotations is refused: %j', (quotation) => {
    expect(texts(quotation.repeat(100_000))).toHaveLength(100_000);
    const error = refusal(`${quotation.repeat(100_000)}b\n\n`);
    expect(error).toMatchObject({ message: 'a file may contain at most 100000 quotations', file: 'q' });
  });

  it('of more than 4 MiB is refused', async () => {
    await expect(create({ content: `${'\n'.repeat(4 * 2 ** 20)}a` })).rejects.toThrow(
      'cannot be read: it is larger than 4 MiB',
    );
  });
});
