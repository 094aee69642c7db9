import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../../../src/service.ts';
import { ConnectionOwners } from '../../../src/services/connection-owner.ts';
import { createIdent, ident, type IdentOptions } from '../../../src/services/ident.ts';
import { FakeClient, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-ident-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function keyFileOf(content: string): string {
  const path = join(directory, 'key');
  writeFileSync(path, content, 'latin1');
  return path;
}

async function create(options: Partial<IdentOptions> = {}): Promise<Service> {
  return ident.create({ answer: 'hidden-user', token: null, keyFile: null, ...options }, new FakeContext());
}

function ask(service: Service, ...pieces: readonly string[]): FakeConnection {
  const talk = new FakeConnection(service);
  for (const piece of pieces) talk.send(piece);
  return talk;
}

describe('ident', () => {
  it('hides every user by default', async () => {
    const defaults = Object.fromEntries(Object.entries(ident.options).map(([key, spec]) => [key, spec.default]));
    expect(defaults).toEqual({ answer: 'hidden-user', token: null, keyFile: null });
    const talk = ask(await create(), '6193, 23\r\n');
    expect(talk.client.text).toBe('6193 , 23 : ERROR : HIDDEN-USER\r\n');
    expect(talk.client.ended).toBe(false);
    talk.finish();
    expect(talk.client.ended).toBe(true);
  });

  it('gives the token for every connection', async () => {
    const talk = ask(await create({ answer: 'token', token: 'nobody' }), '6193,23\r\n');
    expect(talk.client.text).toBe('6193 , 23 : USERID : UNIX : nobody\r\n');
  });

  it.each(['1,65535', '1 , 65535', ' \t1\t,  65535 ', '00001,65535'])('accepts spaces: %j', async (request) => {
    expect(ask(await create(), `${request}\r\n`).client.text).toBe('1 , 65535 : ERROR : HIDDEN-USER\r\n');
    expect(ask(await create(), ...Array.from(request), '\r', '\n').client.text).toBe(
      '1 , 65535 : ERROR : HIDDEN-USER\r\n',
    );
  });

  it.each([
    ['0 , 23', '0 , 23'],
    ['23,0', '23 , 0'],
    ['65536,1', '65536 , 1'],
    ['1,99999', '1 , 99999'],
  ])('answers INVALID-PORT to %s, and goes on', async (request, ports) => {
    const talk = ask(await create(), `${request}\n1,2\n`);
    expect(talk.client.text).toBe(`${ports} : ERROR : INVALID-PORT\r\n1 , 2 : ERROR : HIDDEN-USER\r\n`);
    expect(talk.client.ended).toBe(false);
  });

  it.each(['', '23', '1,2,3', '1;2', '-1,2', '0x1,2', '1,100000', 'GET / HTTP/1.1', '\x1b[2J,1', ' '.repeat(1001)])(
    'answers what is not a request with INVALID-PORT without repeating it, and closes: %j',
    async (request) => {
      const talk = ask(await create(), `1,2\n${request}\n3,4\n`, '5,6\n');
      expect(talk.client.text).toBe('1 , 2 : ERROR : HIDDEN-USER\r\n0 , 0 : ERROR : INVALID-PORT\r\n');
      expect(talk.client.ended).toBe(true);
    },
  );

  it('takes a request of 1000 bytes, and closes at a longer one without an end', async () => {
    const padded = `1,${' '.repeat(997)}2`;
    expect(padded).toHaveLength(1000);
    expect(ask(await create(), `${padded}\r\n`).client.text).toBe('1 , 2 : ERROR : HIDDEN-USER\r\n');
    const talk = ask(await create(), '1'.repeat(1002));
    expect(talk.client).toMatchObject({ text: '0 , 0 : ERROR : INVALID-PORT\r\n', ended: true });
  });

  it('sends the replies to the requests in one chunk at once', async () => {
    const talk = ask(await create(), '1,2\r\n'.repeat(99));
    expect(talk.client.writes).toHaveLength(1);
    expect(talk.client.text).toBe('1 , 2 : ERROR : HIDDEN-USER\r\n'.repeat(99));
    expect(talk.client.ended).toBe(false);
  });

  it.each([
    ['in one chunk', ['1,2\n'.repeat(200)]],
    ['in many', [...Array<string>(150).fill('1,2\n'), '?\n']],
    ['and then something else', [`${'1,2\n'.repeat(100)}?\n`]],
  ])('answers 100 requests of a connection, and closes: %s', async (_name, pieces) => {
    const talk = ask(await create(), ...pieces);
    expect(talk.client.text).toBe('1 , 2 : ERROR : HIDDEN-USER\r\n'.repeat(100));
    expect(talk.client.ended).toBe(true);
  });

  it('does not answer a request that the end of the stream cuts', async () => {
    const talk = ask(await create(), '1,2\r\n3,4');
    talk.finish();
    expect(talk.client).toMatchObject({ text: '1 , 2 : ERROR : HIDDEN-USER\r\n', ended: true });
  });

  it('answers with lines of RFC 1413, whatever is sent', async () => {
    const service = await create({ answer: 'token', token: 'x' });
    const line = /^\d{1,5} , \d{1,5} : (USERID : UNIX : x|ERROR : INVALID-PORT)$/;
    const piece = fc.oneof(fc.constantFrom('1,2\n', '\r\n', '70000 , 0\n', ','), fc.string({ maxLength: 4 }));
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const { text } = ask(service, ...pieces).client;
        for (const each of text.split('\r\n').slice(0, -1)) expect(each).toMatch(line);
      }),
    );
  });

  it.each([null, ''])('requires a token with answer: token, not %j', async (token) => {
    const message = 'is required with answer: token';
    await expect(create({ answer: 'token', token })).rejects.toMatchObject({
      name: 'ConfigError',
      option: 'token',
      message,
    });
  });

  it.each(['a b', 'a:b', 'a\r\nb', 'd\xe9', 'x'.repeat(513)])('rejects the token %j', async (token) => {
    const message = expect.stringMatching(/^may contain only/) as string;
    await expect(create({ answer: 'token', token })).rejects.toMatchObject({ option: 'token', message });
  });
});

const key = 'sixteen bytes of key';
/** `printf uid:1000 | openssl dgst -sha256 -hmac 'sixteen bytes of key'`. */
const hashOf1000 = 'e306ce1370e3501b9278038d5ad4b73d';

/** How often these clients got a reply. */
function count(talks: readonly FakeConnection[], reply: string): number {
  return talks.map(({ client }) => client.text.split(reply).length - 1).reduce((sum, each) => sum + each, 0);
}

describe('ident with answer: hash', () => {
  /** 192.0.2.1:40000 to port 7 belongs to user 1000. */
  const table = '   1: 0100007F:0007 010200C0:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n';

  interface Hashing {
    readonly service: Service;
    readonly context: FakeContext;
    readonly reads: () => number;
  }

  async function createHashing(read?: () => Promise<ConnectionOwners>, content = `${key}\n`): Promise<Hashing> {
    const context = new FakeContext();
    let reads = 0;
    const owners = async (): Promise<ConnectionOwners> => {
      reads += 1;
      return read === undefined ? ConnectionOwners.parse(table) : read();
    };
    const options = { answer: 'hash', token: null, keyFile: keyFileOf(content) } as const;
    return { service: await createIdent(options, context, owners), context, reads: () => reads };
  }

  it.each([key, `${key}\n`, `${key}\r\n`])(
    'gives a hash of the user ID, with the key in the file: %j',
    async (content) => {
      const { service, context } = await createHashing(undefined, content);
      const talk = ask(service, '7 , 40000\r\n');
      expect(talk.client.text).toBe('');
      await context.runTasks();
      expect(talk.client.text).toBe(`7 , 40000 : USERID : UNIX : ${hashOf1000}\r\n`);
      expect(talk.client.ended).toBe(false);
    },
  );

  it('gives another hash with another key', async () => {
    const { service, context } = await createHashing(undefined, 'another key of sixteen bytes');
    const talk = ask(service, '7 , 40000\r\n');
    await context.runTasks();
    expect(talk.client.text).toMatch(/^7 , 40000 : USERID : UNIX : [0-9a-f]{32}\r\n$/);
    expect(talk.client.text).not.toContain(hashOf1000);
  });

  it('answers NO-USER for a connection that no one here holds', async () => {
    const { service, context } = await createHashing();
    const talk = ask(service, '8,40000\n7,40001\n');
    await context.runTasks();
    expect(talk.client.text).toBe('8 , 40000 : ERROR : NO-USER\r\n7 , 40001 : ERROR : NO-USER\r\n');
  });

  it('reads the connections only while someone waits, once for all of them', async () => {
    const { service, context, reads } = await createHashing();
    expect(context.tasks.map(({ ms }) => ms)).toEqual([250]);
    await context.runTasks();
    expect(reads()).toBe(0);
    const talks = [ask(service, '7,40000\n'), ask(service, '7,40000\n')];
    await context.runTasks();
    expect(reads()).toBe(1);
    for (const { client } of talks) expect(client.text).toContain(hashOf1000);
  });

  it.each([
    ['a FIN', (talk: FakeConnection) => talk.finish(), ''],
    ['a line that is not a request', (talk: FakeConnection) => talk.send('?\n'), '0 , 0 : ERROR : INVALID-PORT\r\n'],
  ])('answers what waits before it closes after %s', async (_name, finish, first) => {
    const { service, context } = await createHashing();
    const talk = ask(service, '7,40000\n8,40000\n');
    finish(talk);
    expect(talk.client.ended).toBe(false);
    await context.runTasks();
    const rest = `7 , 40000 : USERID : UNIX : ${hashOf1000}\r\n8 , 40000 : ERROR : NO-USER\r\n`;
    expect(talk.client).toMatchObject({ text: first + rest, ended: true });
  });

  it('lets a client wait for eight replies at a time, a customer for 32, and all of them for 1000', async () => {
    const { service, context } = await createHashing();
    const askFrom = (host: number): FakeConnection => {
      const peer = { family: 'ipv4', address: `192.0.2.${host}`, port: 40_000 } as const;
      const talk = new FakeConnection(service, new FakeClient(peer));
      talk.send('8,1\n'.repeat(9));
      return talk;
    };
    const greedy = Array.from({ length: 5 }, () => askFrom(1));
    expect(greedy.map((talk) => count([talk], 'UNKNOWN-ERROR'))).toEqual([1, 1, 1, 1, 9]);
    await context.runTasks();
    expect(count(greedy, 'NO-USER')).toBe(16);
    const crowd = Array.from({ length: 123 }, (_, index) => askFrom(2 + index));
    expect(count(crowd.slice(0, 122), 'UNKNOWN-ERROR')).toBe(122);
    expect(count(crowd.slice(122), 'UNKNOWN-ERROR')).toBe(1);
    // Whoever waits for most makes room.
    const late = askFrom(200);
    expect([count([late], 'UNKNOWN-ERROR'), count(greedy, 'UNKNOWN-ERROR')]).toEqual([1, 13 + 8]);
    for (let look = 0; look < 63; look += 1) await context.runTasks();
    expect(count([...greedy, ...crowd, late], 'NO-USER')).toBe(16 + 8 + 123 * 8 + 8);
  });

  it('answers whoever comes at once, although others wait for much', async () => {
    const { service, context } = await createHashing();
    const crowd = Array.from({ length: 40 }, (_, index) => {
      const peer = { family: 'ipv6', address: `2001:db8:1:${index}::1`, port: 40_000 } as const;
      const talk = new FakeConnection(service, new FakeClient(peer));
      talk.send('8,1\n'.repeat(8));
      return talk;
    });
    expect(crowd.filter(({ client }) => client.text === '')).toHaveLength(4);
    const late = ask(service, '7,40000\n');
    await context.runTasks();
    expect(late.client.text).toContain(hashOf1000);
  });

  it('waits four times as long after a look as that has taken, so that a large table leaves time to others', async () => {
    const { service, context, reads } = await createHashing(async () => {
      context.nowMs += 250;
      return ConnectionOwners.parse(table);
    });
    ask(service, '7,40000\n');
    await context.runTasks();
    const late = ask(service, '7,40000\n');
    for (let turn = 0; turn < 4; turn += 1) await context.runTasks();
    expect([late.client.text, reads()]).toEqual(['', 1]);
    await context.runTasks();
    expect(late.client.text).toContain(hashOf1000);
  });

  it('looks for nobody who is gone', async () => {
    const { service, context, reads } = await createHashing();
    const talk = ask(service, '7,40000\n');
    talk.close('client-reset');
    await context.runTasks();
    expect([talk.client.text, reads()]).toEqual(['', 0]);
  });

  it('answers UNKNOWN-ERROR if the connections cannot be read, and logs that once', async () => {
    const { service, context } = await createHashing(async () => {
      throw new Error('no /proc');
    });
    for (const _turn of [1, 2]) {
      const talk = ask(service, '7,40000\n');
      await context.runTasks();
      expect(talk.client.text).toBe('7 , 40000 : ERROR : UNKNOWN-ERROR\r\n');
    }
    expect(context.records).toEqual([
      { level: 'warn', fields: { error: 'Error: no /proc' }, message: 'cannot read connection owners' },
    ]);
  });

  it.each([
    ['no file', null, 'is required with answer: hash'],
    ['a missing file', '/nonexistent/key', 'cannot be read: no such file'],
  ])('rejects %s', async (_name, keyFile, message) => {
    await expect(create({ answer: 'hash', keyFile })).rejects.toMatchObject({ option: 'keyFile', message });
  });

  it('rejects a key of fewer than 16 bytes, and more than 4 KiB', async () => {
    const short = create({ answer: 'hash', keyFile: keyFileOf('fifteen bytes..\n') });
    await expect(short).rejects.toMatchObject({
      option: 'keyFile',
      message: 'has 15 bytes: expected a key of at least 16',
    });
    const long = create({ answer: 'hash', keyFile: keyFileOf('x'.repeat(4097)) });
    await expect(long).rejects.toMatchObject({ message: 'cannot be read: it is larger than 4 KiB' });
  });
});
