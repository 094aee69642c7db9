import { describe, expect, it } from 'vitest';
import { checkout, Network, needs } from './machine.ts';
import { Peers } from './peers.ts';
import { Program, run } from './program.ts';

needs('telnet', 'nc', 'ip');

const daytime = /^(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, [A-Z][a-z]+ \d{1,2}, \d{4} \d\d:\d\d:\d\d-\S+$/m;

interface Session {
  readonly network: Network;
  readonly npm: Program;
  readonly peers: Peers;
}

/** `npm start` in the checkout, on its default ports, in a network of the test. */
async function npmStart(): Promise<Session> {
  const network = Network.make();
  const npm = new Program(network.inside(['npm', 'start']), { directory: checkout });
  await npm.says(/"msg":"ready"/);
  return { network, npm, peers: new Peers(network) };
}

describe('a first session with npm start', () => {
  it('telnet prints the daytime', async () => {
    const { peers } = await npmStart();
    for (const [host, address] of [
      ['localhost', '127.0.0.1'],
      ['127.0.0.1', '127.0.0.1'],
      ['::1', '::1'],
    ] as const) {
      const output = await peers.telnet(host, 1200);
      expect(output).toContain(`Trying ${address}...`);
      expect(output).toMatch(daytime);
      expect(output).toContain('Connection closed by foreign host');
    }
  });

  it('nc gets each line echoed over TCP', async () => {
    const { peers } = await npmStart();
    for (const host of ['localhost', '127.0.0.1', '::1']) {
      const nc = peers.talk('-N', host, '1201');
      let expected = '';
      for (const line of ['one\n', 'two\n', `${'three '.repeat(2000)}\n`]) {
        nc.type(line);
        expected += line;
        const whole = expected;
        await nc.until(() => nc.output.length >= whole.length, 'the echo');
        expect(nc.output).toBe(whole);
      }
      nc.endInput();
      expect(await nc.end()).toEqual({ code: 0, signal: null });
      expect(nc.output).toBe(expected);
    }
  });

  it('nc gets each line echoed over UDP', async () => {
    const { peers } = await npmStart();
    for (const host of ['localhost', '127.0.0.1', '::1']) {
      const nc = peers.talk('-u', '-w', '1', host, '1201');
      let expected = '';
      for (const line of ['one\n', 'two\n', 'three\n']) {
        nc.type(line);
        expected += line;
        const whole = expected;
        await nc.until(() => nc.output.length >= whole.length, 'the echo');
        expect(nc.output).toBe(whole);
      }
      nc.endInput();
      expect((await nc.end()).code).toBe(0);
    }
  });

  it('every service answers over TCP and UDP, IPv4 and IPv6', async () => {
    const { peers } = await npmStart();
    for (const host of ['127.0.0.1', '::1']) {
      expect(await peers.tcp(host, 1200)).toMatch(daytime);
      expect(await peers.udp(host, 1200)).toMatch(daytime);
      expect(await peers.tcp(host, 1209, 'away with it\n')).toBe('');
      expect(await peers.udp(host, 1209, 'away with it\n')).toBe('');
      expect(await peers.tcp(host, 1211)).toMatch(/^\d+ users?\r\n$/);
      expect(await peers.udp(host, 1211)).toMatch(/^\d+ users?\r\n$/);
      expect(await peers.tcp(host, 1217)).toMatch(/^[\x20-\x7e\r\n]{10,511}$/);
      expect(await peers.udp(host, 1217, 'x'.repeat(500))).toMatch(/^[\x20-\x7e\r\n]{10,511}$/);
      expect(secondsOff(await peers.tcpBytes(host, 1237))).toBeLessThan(60);

      const chargen = peers.talk('-N', host, '1219');
      await chargen.until(() => chargen.output.length >= 74 * 95, 'a whole turn of the pattern');
      expect(chargen.output).toMatch(
        /^ !"#\$%&'\(\)\*\+,-\.\/0123456789:;<=>\?@ABCDEFGHIJKLMNOPQRSTUVWXYZ\[\\\]\^_`abcdefg\r\n!"#/,
      );
      chargen.signal('SIGKILL');
      await chargen.end();
    }
  });

  it('chargen and time answer nc over UDP', async () => {
    const { peers } = await npmStart();
    for (const host of ['127.0.0.1', '::1']) {
      // Its length is random, and may be 0: three in a row are not.
      const some = await Promise.all([1, 2, 3].map(async () => peers.udp(host, 1219, 'x'.repeat(600))));
      expect(some.join('')).toMatch(/^[\x20-\x7e\r\n]+$/);
      const nc = peers.talk('-u', '-w', '1', host, '1237');
      nc.type('\n');
      await nc.until(() => nc.bytes.length >= 4, 'the time');
      expect(secondsOff(nc.bytes)).toBeLessThan(60);
      nc.endInput();
      await nc.end();
    }
  });

  it('nc with empty input prints an answer and exits, as the README shows', async () => {
    const { network } = await npmStart();
    const shell = async (command: string): Promise<string> =>
      (await run(network.inside(['sh', '-c', command]), { input: '' })).output;
    expect(await shell('nc localhost 1217 < /dev/null')).toMatch(/^[\x20-\x7e\r\n]{10,511}$/);
    expect(await shell('nc localhost 1237 < /dev/null | od -An -tu1')).toMatch(/^(?: +\d{1,3}){4}\n$/);
  });

  it('SIGTERM to npm stops all processes with exit code 0', async () => {
    const { npm, peers } = await npmStart();
    const family = npm.family;
    npm.signal('SIGTERM');
    await npm.end();
    expect(family.length).toBeGreaterThan(2);
    await npm.until(() => !family.some(isAlive), 'the end of all processes', 2000);
    expect(npm.output).toContain('"exitCode":0');
    expect(await peers.tcp('127.0.0.1', 1200)).toBe('');
  });
});

/** How far an answer of the TIME protocol is from our own clock. */
function secondsOff(bytes: Uint8Array): number {
  expect(bytes.length).toBe(4);
  const seconds = Buffer.from(bytes).readUInt32BE() - 2_208_988_800;
  return Math.abs(seconds - Date.now() / 1000);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
