import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Service } from '../../../src/service.ts';
import { createFinger, finger, type FingerOptions } from '../../../src/services/finger.ts';
import { FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-finger-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function fileOf(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content, 'latin1');
  return path;
}

async function create(options: Partial<FingerOptions> = {}): Promise<Service> {
  return finger.create({ show: 'refuse', plans: null, ...options }, new FakeContext());
}

async function plans(): Promise<Service> {
  fileOf('ada', 'On holiday.\nUntil May.\n');
  fileOf('bob', '\n');
  fileOf('.hidden', 'secret');
  return create({ show: 'plans', plans: directory });
}

/** The answer to a query, after which the connection has ended. */
function ask(service: Service, query: string): string {
  const talk = new FakeConnection(service);
  talk.send(query);
  expect(talk.client.ended).toBe(true);
  return talk.client.text;
}

describe('finger', () => {
  it('shows nothing by default, in words of RFC 1288', async () => {
    const defaults = Object.fromEntries(Object.entries(finger.options).map(([key, spec]) => [key, spec.default]));
    expect(defaults).toEqual({ show: 'refuse', plans: null });
    const service = await create();
    expect(ask(service, '\r\n')).toBe('Finger online user list denied\r\n');
    expect(ask(service, '/W\r\n')).toBe('Finger online user list denied\r\n');
    expect(ask(service, 'root\r\n')).toBe('Finger user information denied\r\n');
    expect(ask(service, '/W root\r\n')).toBe('Finger user information denied\r\n');
  });

  it.each(['@host\r\n', 'ada@host\r\n', '/W ada@host@other\r\n', '@\n'])('never forwards: %j', async (query) => {
    for (const service of [await create(), await plans()])
      expect(ask(service, query)).toBe('Finger forwarding service denied\r\n');
  });

  it('counts queries to forward, and queries for users who are not there', async () => {
    const context = new FakeContext();
    fileOf('ada', 'On holiday.');
    const service = await finger.create({ show: 'plans', plans: directory }, context);
    for (const query of ['ada', 'eve', '/W bob', '', '/W', 'ada@host', 'x'.repeat(600)]) ask(service, `${query}\r\n`);
    const talk = new FakeConnection(service);
    talk.send('eve');
    talk.finish();
    const { forwarding_queries: forwarding, unknown_user_queries: unknown } = context.counters.counts;
    expect([forwarding?.count, unknown?.count]).toEqual([1, 3]);
  });

  it('counts no query that the plan of everyone answers', async () => {
    const context = new FakeContext();
    const service = await finger.create({ show: 'plans', plans: fileOf('everyone', 'Call the desk.') }, context);
    for (const query of ['ada', '/W ada', '']) expect(ask(service, `${query}\r\n`)).toBe('Call the desk.\r\n');
    expect(context.counters.counts['unknown_user_queries']?.count).toBe(0);
  });

  it('counts every named query if it shows nothing', async () => {
    const context = new FakeContext();
    const service = await finger.create({ show: 'refuse', plans: null }, context);
    for (const query of ['ada', '/W ada', '', '/W']) ask(service, `${query}\r\n`);
    expect(context.counters.counts['unknown_user_queries']?.count).toBe(2);
  });

  it('answers one query, split in any way, with CR LF or LF, or at the end of the stream', async () => {
    const service = await plans();
    const expected = ask(service, 'ada\r\n');
    expect(expected).toBe('Login: ada\r\nPlan:\r\nOn holiday.\r\nUntil May.\r\n');
    expect(ask(service, 'ada\n')).toBe(expected);
    expect(ask(service, ' ada \r\nbob\r\n')).toBe(expected);
    const split = new FakeConnection(service);
    for (const character of '/W ada\r\n') split.send(character);
    expect(split.client).toMatchObject({ text: expected, ended: true });
    const unfinished = new FakeConnection(service);
    unfinished.send('ada');
    unfinished.finish();
    expect(unfinished.client).toMatchObject({ text: expected, ended: true });
  });

  it('lists who has a plan, with /W also its first line', async () => {
    const service = await plans();
    expect(ask(service, '\r\n')).toBe('ada\r\nbob\r\n');
    for (const query of ['/W\r\n', '/w \r\n', ' /W\n'])
      expect(ask(service, query)).toBe('ada: On holiday.\r\nbob: No plan\r\n');
    expect(ask(service, 'bob\r\n')).toBe('Login: bob\r\nNo plan\r\n');
  });

  it('lists no one if the directory is empty', async () => {
    const service = await create({ show: 'plans', plans: directory });
    expect(ask(service, '\r\n')).toBe('No plans\r\n');
    expect(ask(service, '/W\r\n')).toBe('No plans\r\n');
  });

  it('answers every query with the text of a file', async () => {
    const service = await create({ show: 'plans', plans: fileOf('everyone', 'Call the\tdesk.\n\n') });
    for (const query of ['\r\n', '/W\r\n', 'ada\r\n']) expect(ask(service, query)).toBe('Call the        desk.\r\n');
    expect(ask(service, 'ada@host\r\n')).toBe('Finger forwarding service denied\r\n');
    const silent = await create({ show: 'plans', plans: fileOf('empty', '') });
    expect(ask(silent, '\r\n')).toBe('No plan\r\n');
  });

  it.each([
    '../ada',
    '..',
    '.',
    '.hidden',
    'ada/../bob',
    './ada',
    '/etc/passwd',
    'ada\0',
    'constructor',
    '__proto__',
    'ADA',
    '/Wada',
  ])('never makes a path of a name: %j', async (name) => {
    expect(ask(await plans(), `${name}\r\n`)).toBe('No such user\r\n');
  });

  it('finds only what was there when it was created', async () => {
    const service = await plans();
    fileOf('eve', 'new');
    rmSync(join(directory, 'ada'));
    expect(ask(service, 'eve\r\n')).toBe('No such user\r\n');
    expect(ask(service, 'ada\r\n')).toContain('On holiday.');
  });

  it('gives a long answer in pieces, at the pace of the client, also after its end', async () => {
    const first = 'x'.repeat(65_535);
    for (let number = 100; number < 110; number += 1) fileOf(`user${number}`, first);
    const service = await create({ show: 'plans', plans: directory });
    const talk = new FakeConnection(service);
    talk.drain();
    talk.send('/W\r\nuser100\r\n');
    talk.send('user100\r\n');
    talk.finish();
    // All that waits for a client that does not read.
    expect(talk.client.bytes.length).toBeLessThanOrEqual(65_536);
    expect(talk.client.ended).toBe(false);
    for (let count = 1; !talk.client.ended && count < 100; count += 1) {
      talk.drain();
      expect(talk.client.writes).toHaveLength(count + 1);
      expect(talk.client.writes.at(-1)?.length).toBeLessThanOrEqual(65_536);
    }
    expect(talk.client.ended).toBe(true);
    const lines = Array.from({ length: 10 }, (_, number) => `user${100 + number}: ${first}\r\n`);
    expect(talk.client.text === lines.join('')).toBe(true);
  });

  it('refuses a query of more than 512 bytes', async () => {
    const service = await plans();
    expect(ask(service, `${' '.repeat(509)}ada\r\n`)).toContain('On holiday.');
    expect(ask(service, `${' '.repeat(510)}ada\r\n`)).toBe('Query too long\r\n');
    expect(ask(service, 'x'.repeat(514))).toBe('Query too long\r\n');
  });

  it('answers with printable lines, whatever is asked', async () => {
    const services = [await create(), await plans()];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(...services), (bytes, service) => {
        const talk = new FakeConnection(service);
        talk.send(bytes);
        talk.finish();
        expect(talk.client.ended).toBe(true);
        expect(talk.client.text).toMatch(/^([ -~]+\r\n)+$/);
      }),
    );
  });
});

describe('finger with show: users', () => {
  it('shows who is logged in, as of the last run in the background', async () => {
    const context = new FakeContext();
    let names: readonly string[] | undefined = ['ada', 'bob'];
    const list = async (): Promise<readonly string[]> => {
      if (names === undefined) throw new Error('who: not found');
      return names;
    };
    const service = await createFinger({ show: 'users', plans: null }, context, list);
    expect(ask(service, '\r\n')).toBe('No one is logged in\r\n');
    await context.runTasks();
    expect(ask(service, '\r\n')).toBe('ada\r\nbob\r\n');
    expect(ask(service, '/W\r\n')).toBe('ada\r\nbob\r\n');
    expect(ask(service, 'bob\r\n')).toBe('bob is logged in\r\n');
    expect(ask(service, 'eve\r\n')).toBe('No such user is logged in\r\n');
    expect(context.counters.counts['unknown_user_queries']?.count).toBe(1);
    names = undefined;
    await context.runTasks();
    await context.runTasks();
    expect(ask(service, 'bob\r\n')).toBe('bob is logged in\r\n');
    expect(context.records).toEqual([
      {
        level: 'warn',
        fields: { error: 'Error: who: not found' },
        message: 'cannot run who(1), keeping the last user list',
      },
    ]);
  });
});

async function refusal(path: string | null): Promise<unknown> {
  return create({ show: 'plans', plans: path }).then(
    () => 'they were read',
    (error: unknown) => error,
  );
}

describe('plans are refused', () => {
  it('without a path', async () => {
    expect(await refusal(null)).toMatchObject({
      name: 'ConfigError',
      option: 'plans',
      message: 'is required with show: plans',
    });
  });

  it.each([
    [
      'a symbolic link',
      (path: string) => symlinkSync('/etc/passwd', path),
      'it is a symbolic link, not a regular file',
    ],
    ['a dangling link', (path: string) => symlinkSync('nowhere', path), 'it is a symbolic link, not a regular file'],
    ['a directory', (path: string) => mkdirSync(path), 'it is a directory'],
    ['more than 64 KiB', (path: string) => writeFileSync(path, ' '.repeat(65_537)), 'it is larger than 64 KiB'],
  ])('if one is %s', async (_name, make, message) => {
    fileOf('ada', 'hello');
    const path = join(directory, 'eve');
    make(path);
    expect(await refusal(directory)).toMatchObject({
      name: 'ConfigError',
      option: 'plans',
      file: path,
      message: `cannot be read: ${message}`,
    });
  });

  it('if one is larger than 64 KiB with its tabs expanded', async () => {
    fileOf('ada', '\t'.repeat(8192));
    expect(await refusal(directory)).toBe('they were read');
    const path = fileOf('ada', `${'\t'.repeat(8192)}x`);
    expect(await refusal(directory)).toMatchObject({
      name: 'ConfigError',
      file: path,
      message: 'is larger than 64 KiB after each tab is expanded to spaces',
    });
  });

  it('if they are larger than 4 MiB with their tabs expanded', async () => {
    for (let number = 0; number < 65; number += 1) fileOf(`user${number}`, '\t'.repeat(8192));
    expect(await refusal(directory)).toMatchObject({ message: 'contains more than 4 MiB of plans' });
  });

  it.each([
    ['a tab that is expanded', 'one\tmore\n', undefined],
    ['an escape', 'one\n\x1b[2J\n', 2],
    ['a byte above ASCII', 'one\n\ntwo\xe9\n', 3],
    ['a NUL', '\0', 1],
  ])('with file and line for other characters: %s', async (_name, content, line) => {
    const file = fileOf('ada', content);
    if (line === undefined) expect(await refusal(directory)).toBe('they were read');
    else expect(await refusal(directory)).toMatchObject({ name: 'ConfigError', file, line });
  });

  it.each(['a b', 'a@b', 'd\xe9j\xe0', 'tab\tbed'])(
    'if a file has a name that no client can ask for: %j',
    async (name) => {
      writeFileSync(join(directory, name), 'hello');
      expect(await refusal(directory)).toMatchObject({
        option: 'plans',
        message: expect.stringMatching(/^is not named after/),
      });
    },
  );

  it('if there are more than 1000, or more than 4 MiB', async () => {
    for (let number = 0; number < 1000; number += 1) fileOf(`user${number}`, 'x');
    expect(await refusal(directory)).toBe('they were read');
    fileOf('another', 'x');
    expect(await refusal(directory)).toMatchObject({ file: directory, message: 'contains more than 1000 files' });
    const large = join(directory, '.large');
    mkdirSync(large);
    for (let number = 0; number < 65; number += 1) writeFileSync(join(large, `user${number}`), ' '.repeat(65_536));
    expect(await refusal(large)).toMatchObject({ file: large, message: 'contains more than 4 MiB of plans' });
  });

  it.each([
    ['a missing path', 'missing', 'cannot be read: no such file'],
    ['a path below a file', 'file/below', 'cannot be read: a part of the path is not a directory'],
  ])('for %s', async (_name, path, message) => {
    fileOf('file', 'hello');
    expect(await refusal(join(directory, path))).toMatchObject({ option: 'plans', message });
  });
});
