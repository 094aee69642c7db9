import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { identifyDescriptors, passedDescriptors } from '../../../../src/server/transport/inherited.ts';

/** The descriptor number of a handle of Node's own: here it plays one that was inherited. */
function descriptorOf(owner: unknown): number {
  const { _handle: handle } = owner as { _handle: { fd: number } };
  return handle.fd;
}

async function bound(type: 'udp4' | 'udp6', address: string): Promise<number> {
  const socket = createSocket(type);
  onTestFinished(() => {
    socket.close();
  });
  socket.bind(0, address);
  await once(socket, 'listening');
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  return (socket as unknown as Record<symbol, { handle: { fd: number } }>)[state as symbol]?.handle.fd ?? -1;
}

async function listening(server: Server): Promise<number> {
  onTestFinished(() => {
    server.close();
  });
  await once(server, 'listening');
  return descriptorOf(server);
}

describe('passedDescriptors', () => {
  it.each<[string, Record<string, string>, [string, number[]][]]>([
    ['nothing was passed', {}, []],
    ['descriptors for another process', { LISTEN_PID: '8', LISTEN_FDS: '1', LISTEN_FDNAMES: 'echo' }, []],
    ['without LISTEN_PID', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'echo' }, []],
    ['one descriptor', { LISTEN_PID: '7', LISTEN_FDS: '1', LISTEN_FDNAMES: 'echo' }, [['echo', [3]]]],
    [
      'several descriptors, two with the same name',
      { LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'echo:time:echo' },
      [
        ['echo', [3, 5]],
        ['time', [4]],
      ],
    ],
    ['no names', { LISTEN_PID: '7', LISTEN_FDS: '2' }, [['unknown', [3, 4]]]],
    [
      'fewer names than descriptors',
      { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'echo' },
      [
        ['echo', [3]],
        ['unknown', [4]],
      ],
    ],
    ['more names than descriptors', { LISTEN_PID: '7', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' }, [['a', [3]]]],
    ['an empty count', { LISTEN_PID: '7', LISTEN_FDS: '', LISTEN_FDNAMES: 'a' }, []],
    ['a bad count for another process', { LISTEN_PID: '8', LISTEN_FDS: 'x' }, []],
  ])('%s', (_case, env, expected) => {
    expect([...passedDescriptors(env, 7)]).toEqual(expected);
  });

  it.each(['x', '-1', '1.5', '1e3', ' 1', '0x10', 'Infinity', 'NaN', '１'])('refuses the count %j', (count) => {
    expect(() => passedDescriptors({ LISTEN_PID: '7', LISTEN_FDS: count }, 7)).toThrow(
      expect.objectContaining({
        code: 'LISTEN_NO_DESCRIPTOR',
        message: `LISTEN_FDS is ${JSON.stringify(count)}: expected a number`,
      }),
    );
  });

  it.each(['3000000', '1073741816', '9'.repeat(100_000)])('refuses more than are open: %.20s', (count) => {
    const names = 'echo:'.repeat(10);
    expect(() => passedDescriptors({ LISTEN_PID: '7', LISTEN_FDS: count, LISTEN_FDNAMES: names }, 7)).toThrow(
      /^LISTEN_FDS is "\d{7,40}(\.\.\.)?", but this process has only \d{1,5} open descriptors$/,
    );
  });

  it('takes time in proportion to the count, whatever the names', () => {
    // With a copy of the list for each of them, it would not end before the test does.
    const passed = passedDescriptors({ LISTEN_PID: '7', LISTEN_FDS: '500000' }, 7, 500_000);
    expect([[...passed.keys()], passed.get('unknown')?.length]).toEqual([['unknown'], 500_000]);
  });
});

describe('identifyDescriptors', () => {
  it('returns an empty map for no descriptors', async () => {
    expect([...(await identifyDescriptors(new Map()))]).toEqual([]);
  });

  it('refuses a descriptor that is not open', async () => {
    await expect(identifyDescriptors(new Map([[9999, 'echo: fd://9999']]))).rejects.toMatchObject({
      code: 'LISTEN_NO_DESCRIPTOR',
      message: 'echo: fd://9999: descriptor 9999 is not open: it was not passed to this process',
    });
  });

  it('refuses a descriptor that is not a socket', async () => {
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    await expect(identifyDescriptors(new Map([[fd, 'echo: systemd:x']]))).rejects.toMatchObject({
      code: 'LISTEN_NO_DESCRIPTOR',
      message: `echo: systemd:x: descriptor ${fd} is not a socket`,
    });
  });
});

describe('descriptor-probe', () => {
  it('distinguishes TCP, UDP and UNIX sockets from each other and from other descriptors', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-probe-'));
    const nothing = openSync('/dev/null', 'r');
    onTestFinished(() => {
      closeSync(nothing);
      rmSync(directory, { recursive: true, force: true });
    });
    const tcp = await listening(createServer().listen(0, '127.0.0.1'));
    const unix = await listening(createServer().listen(join(directory, 'socket')));
    const udp = await bound('udp4', '127.0.0.1');
    const fds = [tcp, unix, udp, nothing];
    const script = fileURLToPath(new URL('../../../../dist/server/transport/descriptor-probe.js', import.meta.url));
    const child = spawn(process.execPath, [script, String(fds.length)], {
      stdio: ['ignore', 'pipe', 'inherit', ...fds],
    });
    let answer = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    await once(child, 'close');
    expect(JSON.parse(answer)).toEqual(['tcp', 'unix', 'udp4', null]);
  });
});
