import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createSystat, packLines, type SystatOptions, systat } from '../../../src/services/systat.ts';
import { ConfigError, type Service } from '../../../src/service.ts';
import { listUsers, loginNames } from '../../../src/services/who.ts';
import { connect, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

/** A service with users who log in and out by assignment; `undefined` makes the listing fail. */
class Office {
  readonly context = new FakeContext();
  readonly service: Service;
  users: readonly string[] | undefined;
  asked = 0;

  constructor(show: SystatOptions['show'], users: readonly string[] | undefined) {
    this.users = users;
    this.service = createSystat({ show, text: null }, this.context, () => {
      this.asked++;
      return this.users === undefined ? Promise.reject(new Error('spawn who ENOENT')) : Promise.resolve(this.users);
    });
  }
}

function datagrams(service: Service, limit: number): string[] | undefined {
  const reply = service.datagram?.(Buffer.alloc(0), limit, nowhere);
  if (reply === undefined) return undefined;
  return (reply instanceof Uint8Array ? [reply] : reply).map((bytes) => Buffer.from(bytes).toString('latin1'));
}

describe('systat over TCP (RFC 866)', () => {
  it('shows the number of users', async () => {
    const office = new Office('count', ['ada', 'grace']);
    await office.context.runTasks();
    expect(connect(office.service)).toMatchObject({ text: '2 users\r\n', ended: true });
  });

  it('shows one user per line', async () => {
    const office = new Office('users', ['ada', 'grace']);
    await office.context.runTasks();
    expect(connect(office.service)).toMatchObject({ text: 'ada\r\ngrace\r\n', ended: true });
  });

  it('closes without a line if there are no users', async () => {
    const office = new Office('users', []);
    await office.context.runTasks();
    expect(connect(office.service)).toMatchObject({ text: '', ended: true });
  });

  it('gives a long text in pieces, at the pace of the client', async () => {
    const text = 'Nobody you know\n'.repeat(10_000);
    const talk = new FakeConnection(await systat.create({ show: 'text', text }, new FakeContext()));
    talk.finish();
    expect(talk.client.bytes.length).toBeLessThanOrEqual(65_536);
    for (let count = 0; !talk.client.ended && count < 100; count += 1) talk.drain();
    expect(talk.client.text).toBe(text.replaceAll('\n', '\r\n'));
  });

  it('shows a fixed text', async () => {
    const context = new FakeContext();
    const service = await systat.create({ show: 'text', text: 'Nobody you know\nAsk the desk\n' }, context);
    expect(connect(service)).toMatchObject({ text: 'Nobody you know\r\nAsk the desk\r\n', ended: true });
    expect(context.tasks).toEqual([]);
  });

  it('ignores input', () => {
    const connection = new FakeConnection(new Office('count', []).service);
    connection.send('who?');
    connection.finish();
    expect(connection.client).toMatchObject({ text: '0 users\r\n', ended: true });
  });

  it('shows the number of users by default', () => {
    expect(systat.options.show.default).toBe('count');
  });
});

describe('the list of users', () => {
  it('is refreshed every five seconds, never on a request', async () => {
    const office = new Office('count', ['ada']);
    expect(office.context.tasks.map(({ ms }) => ms)).toEqual([5000]);
    expect(connect(office.service).text).toBe('0 users\r\n');
    datagrams(office.service, 512);
    expect(office.asked).toBe(0);
    await office.context.runTasks();
    expect(connect(office.service).text).toBe('1 user\r\n');
    office.users = ['ada', 'grace'];
    expect(connect(office.service).text).toBe('1 user\r\n');
    await office.context.runTasks();
    expect(connect(office.service).text).toBe('2 users\r\n');
    expect(office.asked).toBe(2);
  });

  it('is kept when a refresh fails, with one warning until the next success', async () => {
    const office = new Office('users', ['ada']);
    await office.context.runTasks();
    office.users = undefined;
    await office.context.runTasks();
    await office.context.runTasks();
    expect(connect(office.service).text).toBe('ada\r\n');
    expect(office.context.records).toEqual([
      { level: 'warn', fields: { error: 'Error: spawn who ENOENT' }, message: expect.stringContaining('who') },
    ]);
    office.users = ['grace'];
    await office.context.runTasks();
    expect(connect(office.service).text).toBe('grace\r\n');
    office.users = undefined;
    await office.context.runTasks();
    expect(office.context.records).toHaveLength(2);
  });

  it('is empty if the first refresh fails', async () => {
    const office = new Office('users', undefined);
    await office.context.runTasks();
    expect(connect(office.service)).toMatchObject({ text: '', ended: true });
  });

  it('contains each login name of who once, sorted', () => {
    const output = [
      'root     tty1         2026-11-22 09:00',
      'grace    pts/0        2026-11-22 09:14 (192.0.2.7)',
      'ada      pts/1        2026-11-22 09:15 (:0)',
      'grace    pts/2        2026-11-22 10:02 (192.0.2.7)',
      '',
    ].join('\n');
    expect(loginNames(output)).toEqual(['ada', 'grace', 'root']);
    expect(loginNames('')).toEqual([]);
  });

  it('comes from a program that inherits only PATH and TZ', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-who-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    writeFileSync(join(directory, 'who'), '#!/bin/sh\nexec /usr/bin/env\n', { mode: 0o755 });
    vi.stubEnv('PATH', directory);
    vi.stubEnv('TZ', 'UTC');
    vi.stubEnv('SECRET', 'hunter2');
    onTestFinished(() => void vi.unstubAllEnvs());
    const variables = (await listUsers()).map((line) => line.split('=', 1)[0]);
    // The shell has some of its own.
    expect(variables.filter((name) => !['PWD', 'OLDPWD', '_', 'SHLVL'].includes(name ?? ''))).toEqual([
      'LC_ALL',
      'PATH',
      'TZ',
    ]);
  });

  it('contains only printable ASCII, regardless of the output of who', () => {
    expect(loginNames('\x1b[2J pts/0\nzo\xeb pts/1\nada\tx pts/2\nbob pts/3\n')).toEqual(['bob']);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (output) => {
        for (const name of loginNames(output)) expect(name).toMatch(/^[!-~]+$/);
      }),
    );
  });
});

describe('systat over UDP', () => {
  it('sends one datagram if the list fits', async () => {
    const office = new Office('users', ['ada', 'grace']);
    await office.context.runTasks();
    expect(datagrams(office.service, 65_507)).toEqual(['ada\r\ngrace\r\n']);
    expect(datagrams(office.service, 12)).toEqual(['ada\r\ngrace\r\n']);
  });

  it('sends several datagrams otherwise, without splitting a line', async () => {
    const office = new Office('users', ['ada', 'bob', 'grace']);
    await office.context.runTasks();
    expect(datagrams(office.service, 11)).toEqual(['ada\r\nbob\r\n', 'grace\r\n']);
    expect(datagrams(office.service, 9)).toEqual(['ada\r\n', 'bob\r\n', 'grace\r\n']);
  });

  it('sends at most 512 bytes in a datagram', async () => {
    const office = new Office(
      'users',
      Array.from({ length: 65 }, (_, index) => `user${10 + index}`),
    );
    await office.context.runTasks();
    expect(datagrams(office.service, 65_507)?.map((text) => text.length)).toEqual([512, 8]);
    office.users = [...(office.users?.slice(0, 63) ?? []), 'user999'];
    await office.context.runTasks();
    expect(datagrams(office.service, 65_507)?.map((text) => text.length)).toEqual([504, 9]);
  });

  it('sends at most 128 datagrams', async () => {
    const office = new Office(
      'users',
      Array.from({ length: 20_000 }, (_, index) => `user${10_000 + index}`),
    );
    await office.context.runTasks();
    expect(datagrams(office.service, 30)).toHaveLength(128);
    expect(datagrams(office.service, 65_507)).toHaveLength(128);
  });

  it('stops before a line that does not fit', async () => {
    const office = new Office('users', ['ada', 'bartholomew', 'cy']);
    await office.context.runTasks();
    expect(datagrams(office.service, 9)).toEqual(['ada\r\n']);
    expect(datagrams(office.service, 4)).toBeUndefined();
  });

  it('sends one empty datagram if there are no users', async () => {
    const office = new Office('users', []);
    await office.context.runTasks();
    expect(datagrams(office.service, 512)).toEqual(['']);
    expect(datagrams(office.service, 0)).toEqual(['']);
    expect(datagrams(office.service, -1)).toBeUndefined();
  });

  it('packs complete lines in order into datagrams as full as possible', () => {
    const anyLines = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 30 }), { maxLength: 40 });
    fc.assert(
      fc.property(anyLines, fc.integer({ min: -1, max: 80 }), (lines, limit) => {
        const whole = lines.map((line) => `${line}\r\n`);
        const fitting = whole.findIndex((line) => line.length > limit);
        const expected = fitting === -1 ? whole : whole.slice(0, fitting);
        const packed = (packLines(Buffer.from(whole.join('')), lines, limit) ?? []).map(String);

        expect(packed.join('')).toBe(expected.join(''));
        for (const [index, text] of packed.entries()) {
          expect(text.length).toBeLessThanOrEqual(limit);
          if (lines.length > 0) expect(text.endsWith('\r\n')).toBe(true);
          const next = packed[index + 1]?.split('\r\n')[0];
          if (next !== undefined) expect(text.length + next.length + 2).toBeGreaterThan(limit);
        }
      }),
    );
  });

  it('names its hazard', () => {
    expect(systat.udpHazard).toBeTruthy();
  });
});

describe('option text', () => {
  it.each([null, '', ' \n', 'caf\xe9', 'tab\there', 'bell\x07'])('is refused: %j', (text) => {
    const create = (): unknown => systat.create({ show: 'text', text }, new FakeContext());
    expect(create).toThrow(ConfigError);
    expect(create).toThrow(expect.objectContaining({ option: 'text' }));
  });

  it.each([
    ['a\tb', 'U+0009'],
    ['caf\u00e9', 'U+00E9'],
    ['ok\n\u{1f600}', 'U+1F600'],
  ])('is refused with the character that is not printable ASCII: %j', (text, character) => {
    const create = (): unknown => systat.create({ show: 'text', text }, new FakeContext());
    expect(create).toThrow(`may contain only printable ASCII, not ${character}`);
  });

  it('is not needed with other values of show', () => {
    expect(() => systat.create({ show: 'count', text: null }, new FakeContext())).not.toThrow();
  });
});
