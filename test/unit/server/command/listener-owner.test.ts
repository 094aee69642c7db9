import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type IpAddress, parseIp } from '../../../../src/address/ip-address.ts';
import {
  isSmallservd,
  parseStatus,
  type ProcFiles,
  systemProcFiles,
  tcpListeners,
  whyNotListener,
} from '../../../../src/server/command/listener-owner.ts';
import type { ConnectedTo } from '../../../../src/server/admin/client.ts';
import { until } from '../../../support/wait.ts';

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

/** As Linux 6.1 printed it on x86-64. */
const tcp = `\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 0100007F:2335 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 777141 1 00000000c9e0faad 100 0 0 10 0                    
   1: 00000000:2336 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 779444 1 000000007cddd4c9 100 0 0 10 0                    
   2: 0200007F:2336 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 779445 1 000000007cddd4ca 100 0 0 10 0                    
   3: 0100007F:2337 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 779446 1 000000007cddd4cb 20 4 30 10 -1                   
   4: 0100007F:2338 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 0 1 000000007cddd4cc 100 0 0 10 0                         
`;
const tcp6 = `\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:2335 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 800001 1 00000000b1bdb8a3 100 0 0 10 0
   1: 00000000000000000000000000000000:2339 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 800002 1 00000000b1bdb8a4 100 0 0 10 0
   2: B80D0120000000000000000001000000:2335 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   102        0 800003 1 00000000b1bdb8a5 100 0 0 10 0
   3: 0000000000000000FFFF00000100007F:233A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   103        0 800004 1 00000000b1bdb8a6 100 0 0 10 0
`;

describe('tcpListeners', () => {
  const tables = { ipv4: tcp.split('\n'), ipv6: tcp6.split('\n') };

  it.each([
    ['127.0.0.1', 0x2335, ['777141'], [65534]],
    ['::1', 0x2335, ['800001'], [0]],
    ['2001:db8::1', 0x2335, ['800003'], [102]],
    ['127.0.0.1', 0x2336, ['779444'], [0]],
    ['127.0.0.2', 0x2336, ['779445'], [1000]],
    ['::1', 0x2336, [], []],
    ['127.0.0.1', 0x2337, [], []],
    ['127.0.0.1', 0x2338, [], []],
    ['127.0.0.1', 0x2339, ['800002'], [101]],
    ['::1', 0x2339, ['800002'], [101]],
    ['127.0.0.1', 0x233a, ['800004'], [103]],
    ['127.0.0.2', 0x2335, [], []],
  ])('finds for %s port %d the sockets %j of users %j', (address, port, inodes, uids) => {
    const found = tcpListeners(tables, ip(address), port, 'LE');
    expect(found.map(({ inode }) => inode)).toEqual(inodes);
    expect(found.map(({ uid }) => uid)).toEqual(uids);
  });

  it('reads big-endian addresses', () => {
    const big = { ipv4: tcp.replaceAll('0100007F', '7F000001').split('\n'), ipv6: [] };
    expect(tcpListeners(big, ip('127.0.0.1'), 0x2335, 'BE')).toMatchObject([{ inode: '777141' }]);
    expect(tcpListeners(big, ip('127.0.0.1'), 0x2335, 'LE')).toEqual([]);
  });

  it('returns only valid entries for corrupted tables', () => {
    fc.assert(
      fc.property(junkOf(tcp), junkOf(tcp6), fc.nat(65_535), (ipv4, ipv6, port) => {
        const junk = { ipv4: ipv4.split('\n'), ipv6: ipv6.split('\n') };
        for (const found of tcpListeners(junk, ip('127.0.0.1'), port, 'LE')) {
          expect(found.inode).toMatch(/^[1-9]\d*$/);
          expect(found.uid).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });
});

describe('parseStatus', () => {
  const status =
    'Name:\tnode\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4711\nPid:\t4711\nPPid:\t42\nUid:\t0\t1\t2\t3\nGid:\t0\t0\t0\t0\n';

  it('reads the parent and the user ids', () => {
    expect(parseStatus(status)).toEqual({ parent: 42, uids: [0, 1, 2, 3] });
  });

  it('is not misled by a process name', () => {
    // The kernel escapes line ends in it.
    expect(parseStatus(status.replace('node', 'x\\nPPid:\t7'))).toEqual({ parent: 42, uids: [0, 1, 2, 3] });
  });

  it('refuses anything else', () => {
    for (const text of ['', 'PPid:\t1\n', 'Uid:\t1\t2\t3\t4\n', status.replace('42', '-1')])
      expect(parseStatus(text)).toBeUndefined();
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseStatus(text) === undefined));
  });
});

describe('isSmallservd', () => {
  it.each([
    [['node', '/usr/local/bin/smallservd'], '/usr/bin/node'],
    [['/usr/bin/node', '/usr/lib/smallservd/dist/smallservd.js', '--config', 'x'], '/usr/bin/node'],
    [['node', '--max-old-space-size=64', 'dist/smallservd.js'], '/opt/node/bin/node (deleted)'],
    [['nodejs', 'smallservd'], '/usr/bin/nodejs'],
    [['node', 'dist/smallservd.js'], undefined],
  ])('accepts %j run by %s', (args, executable) => {
    expect(isSmallservd(`${args.join('\0')}\0`, executable)).toBe(true);
  });

  it.each([
    [['node', 'smallservd.js.txt'], '/usr/bin/node'],
    [['node', '/smallservd/server.js'], '/usr/bin/node'],
    [['node', 'not-smallservd'], '/usr/bin/node'],
    [['node', '--config=smallservd'], '/usr/bin/node/x'],
    [['smallservd'], '/usr/bin/node'],
    [['node', 'smallservd'], '/usr/bin/python3'],
    [['vim', '/etc/smallservd'], '/usr/bin/vim'],
    [['sleep', 'smallservd'], undefined],
    [['sshd: smallservd [priv]'], undefined],
    [[], undefined],
  ])('rejects %j run by %s', (args, executable) => {
    expect(isSmallservd(args.join('\0'), executable)).toBe(false);
  });
});

/** A process as /proc shows it; `sockets` undefined: its descriptors are hidden. */
interface FakeProcess {
  readonly args?: string;
  readonly parent?: number;
  readonly uid?: number;
  readonly sockets?: readonly string[] | undefined;
}

const daemon = 'node\0/usr/lib/smallservd/dist/smallservd.js\0';
const admin = { address: '127.0.0.1', port: 0x2335 };
/** A UNIX socket on which this process listens. */
function listenedOnBy(listenerPid: number | undefined): ConnectedTo {
  return { path: '/run/smallservd/admin.sock', listenerPid };
}

function proc(processes: Readonly<Record<number, FakeProcess>>, more: Partial<ProcFiles> = {}): ProcFiles {
  const files = new Map<string, string>();
  const tables = new Map([
    ['self/net/tcp', tcp],
    ['self/net/tcp6', tcp6],
  ]);
  const links = new Map<string, string>();
  const directories = new Map<string, readonly string[]>([['.', ['self', 'net', ...Object.keys(processes)]]]);
  for (const [pid, { args = daemon, parent = 1, uid = 0, ...rest }] of Object.entries(processes)) {
    files.set(`${pid}/status`, `Name:\tnode\nPPid:\t${parent}\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n`);
    files.set(`${pid}/cmdline`, args);
    const sockets = 'sockets' in rest ? rest.sockets : [];
    if (sockets === undefined) continue;
    links.set(`${pid}/exe`, `/usr/bin/${args.split('\0')[0]}`);
    directories.set(`${pid}/fd`, ['0', ...sockets.map((_, index) => String(index + 3))]);
    links.set(`${pid}/fd/0`, '/dev/null');
    sockets.forEach((inode, index) => links.set(`${pid}/fd/${index + 3}`, `socket:[${inode}]`));
  }
  return {
    read: (path) => files.get(path),
    lines: (path) => tables.get(path)?.split('\n') ?? [],
    link: (path) => links.get(path),
    list: (path) => directories.get(path),
    ownAddresses: [],
    uid: 0,
    ...more,
  };
}

function* numbersFrom(first: number): Generator<string> {
  for (let each = first; ; each += 1) yield String(each);
}

describe('whyNotListener', () => {
  it.each([
    ['the listening process', { 50: { sockets: ['777141'] } }],
    [
      'the parent of the listening process',
      { 50: {}, 51: { parent: 50, uid: 65534, args: 'node\0child.js\0', sockets: ['777141'] } },
    ],
  ])('accepts %s', (_, processes) => {
    expect(whyNotListener(50, admin, proc(processes))).toBeUndefined();
  });

  it('accepts the process that the kernel names for a UNIX socket, and its parent', () => {
    const processes = proc({ 50: {}, 51: { parent: 50, uid: 65534, args: 'node\0child.js\0' }, 60: {} });
    expect(whyNotListener(50, listenedOnBy(50), processes)).toBeUndefined();
    expect(whyNotListener(50, listenedOnBy(51), processes)).toBeUndefined();
    expect(whyNotListener(60, listenedOnBy(51), processes)).toBe('another process listens there');
    expect(whyNotListener(50, listenedOnBy(77), processes)).toBe('another process listens there');
    expect(whyNotListener(50, listenedOnBy(0), processes)).toMatch(/another container/);
    expect(whyNotListener(50, listenedOnBy(undefined), processes)).toMatch(/does not say/);
  });

  it('believes no table of UNIX sockets, which anybody can forge', () => {
    const holder = proc({ 50: { sockets: ['4242'] }, 70: { args: 'python3\0' } });
    const forged = '00000000: 00000002 00000000 00010000 0001 01 4242 /run/smallservd/admin.sock\n';
    const lines = (path: string): Iterable<string> => (path === 'self/net/unix' ? [forged] : holder.lines(path));
    expect(whyNotListener(50, listenedOnBy(70), { ...holder, lines })).toBe('another process listens there');
  });

  it.each([-1, 0, -50, 1.5, 2 ** 22 + 1, 2 ** 31, 2 ** 32 + 50, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])(
    'rejects %d as a process id',
    (pid) => {
      expect(whyNotListener(pid, admin, proc({ [pid]: { sockets: ['777141'] } }))).toBe(
        'that is not a valid process ID',
      );
    },
  );

  const child = { parent: 50, uid: 65534, args: 'node\0child.js\0', sockets: ['777141'] };

  it.each<[string, number, Readonly<Record<number, FakeProcess>>, string]>([
    ['a process that has exited', 50, {}, 'no such process exists here'],
    ['init', 1, { 1: { args: '/sbin/init\0' } }, 'it is not smallservd'],
    ['sshd', 60, { 60: { args: 'sshd: /usr/sbin/sshd -D\0' }, 50: child }, 'it is not smallservd'],
    [
      'its own parent, su',
      60,
      { 60: { args: 'su\0user\0' }, 50: { parent: 60, sockets: ['777141'] } },
      'it is not smallservd',
    ],
    ['a smallservd listening elsewhere', 60, { 60: { sockets: ['800001'] }, 50: child }, 'it does not hold the socket'],
    [
      'the grandparent of the listening process',
      60,
      { 60: {}, 50: { parent: 60 }, 51: child },
      'it does not hold the socket',
    ],
    [
      'the child of the listening process',
      51,
      { 50: { sockets: ['777141'] }, 51: { parent: 50 } },
      'it does not hold the socket',
    ],
    [
      'a process that only calls itself smallservd',
      50,
      { 50: { args: 'python3\0smallservd\0', sockets: ['777141'] } },
      'it is not smallservd',
    ],
    [
      'a process whose descriptors are hidden from root',
      50,
      { 50: { sockets: undefined } },
      'its descriptors cannot be read',
    ],
  ])('rejects %s', (_, pid, processes, why) => {
    expect(whyNotListener(pid, admin, proc(processes))).toBe(why);
  });

  it('rejects a remote address, even if a process listens on all addresses', () => {
    const processes = { 50: { sockets: ['800002'] } };
    const there = { address: '192.0.2.7', port: 0x2339 };
    expect(whyNotListener(50, there, proc(processes))).toBe('the endpoint is not on this machine');
    expect(whyNotListener(50, there, proc(processes, { ownAddresses: ['192.0.2.7'] }))).toBeUndefined();
  });

  it.each([0, 65534])('rejects every process if no socket is listening, as user %d', (uid) => {
    for (const at of [{ ...admin, port: 7 }])
      expect(whyNotListener(50, at, proc({ 50: { uid, sockets: undefined } }, { uid }))).toBe(
        'nothing listens there in this network namespace',
      );
  });

  describe('with descriptors hidden from their own user', () => {
    const hidden = { 50: { uid: 65534, sockets: undefined } };

    it('accepts a process and a socket of the same user', () => {
      expect(whyNotListener(50, admin, proc(hidden, { uid: 65534 }))).toBeUndefined();
    });

    it.each<[string, Readonly<Record<number, FakeProcess>>, object, Partial<ProcFiles>, RegExp]>([
      [
        "another user's socket",
        { 50: { uid: 1000, sockets: undefined } },
        admin,
        { uid: 1000 },
        /socket belongs to another/,
      ],
      [
        "another user's process",
        { 50: { uid: 1000, sockets: undefined } },
        admin,
        { uid: 65534 },
        /^it belongs to another/,
      ],
      ["root's process", { 50: { sockets: undefined } }, admin, { uid: 65534 }, /^it belongs to another/],
    ])('rejects %s', (_, processes, at, more, why) => {
      expect(whyNotListener(50, at as typeof admin, proc(processes, more))).toMatch(why);
    });
  });

  it('looks no further than the descriptor that it looks for', () => {
    const processes = proc({ 50: { sockets: ['777141'] } });
    expect(whyNotListener(50, admin, { ...processes, list: () => numbersFrom(3) })).toBeUndefined();
  });

  it('rejects a child whose number another process has got', () => {
    const before = proc({ 50: {}, 51: { parent: 50, sockets: ['777141'] } });
    let isOther = false;
    const link = (path: string): string | undefined => {
      isOther ||= path.startsWith('51/fd');
      return before.link(path);
    };
    const after = proc({ 50: {}, 51: { parent: 1, sockets: ['777141'] } });
    const read = (path: string): string | undefined => (isOther ? after : before).read(path);
    expect(whyNotListener(50, admin, { ...before, link })).toBeUndefined();
    isOther = false;
    expect(whyNotListener(50, admin, { ...before, link, read })).toBe('it does not hold the socket');
  });

  describe.each([
    ['descriptors', '50/fd', '51'],
    ['children', '.', '51'],
    ['processes of others around it', '.', '52'],
  ])('for a process with very many %s', (_, directory, model) => {
    function modeled(path: string): string {
      return path.replace(/^\d{3,}/, model);
    }

    /** Its `directory` has these entries, each of which is like process `model` if it is one. */
    function crowded(entries: Iterable<string>): ProcFiles {
      const few = proc({ 50: {}, 51: { parent: 50 }, 52: {} });
      return {
        ...few,
        read: (path) => few.read(modeled(path)),
        link: (path) => few.link(modeled(path)) ?? '/dev/null',
        list: (path) => (path === directory ? entries : few.list(modeled(path))),
      };
    }

    it('ends after a fixed number of looks', () => {
      const clock = { monotonicMs: () => 0 };
      expect(whyNotListener(50, admin, crowded(numbersFrom(100)), clock)).toMatch(/^there are too many processes/);
    });

    it('ends after five seconds', () => {
      let nowMs = 0;
      function* slow(): Generator<string> {
        for (const each of numbersFrom(100)) {
          nowMs += 100;
          yield each;
        }
      }
      expect(whyNotListener(50, admin, crowded(slow()), { monotonicMs: () => nowMs })).toMatch(/takes more than 5 s$/);
      expect(nowMs).toBe(5000);
    });
  });

  it('ends after five seconds, however many sockets there are', () => {
    let nowMs = 0;
    function* rows(): Generator<string> {
      for (const [, row = ''] = tcp.split('\n'); ; nowMs += 1) yield row;
    }
    const processes = proc({ 50: {} }, { lines: rows });
    expect(whyNotListener(50, admin, processes, { monotonicMs: () => nowMs })).toMatch(/takes more than 5 s$/);
    expect(nowMs).toBe(5000);
  });

  it('rejects every process if /proc is empty or corrupted', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 22), fc.func(fc.option(fc.string(), { nil: undefined })), (pid, read) => {
        const lines = (path: string): Iterable<string> => read(path)?.split('\n') ?? [];
        const files = proc({}, { read, lines, link: read, list: (path) => read(path)?.split('') });
        expect(whyNotListener(pid, admin, files)).toBeDefined();
      }),
    );
  });
});

describe.runIf(process.platform === 'linux')('systemProcFiles', () => {
  it('reads no more than 64 KiB of a file', async () => {
    const [short, long] = await Promise.all(
      [40_000, 80_000].map(async (length) => {
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)', 'x'.repeat(length)]);
        onTestFinished(() => void child.kill('SIGKILL'));
        await once(child, 'spawn');
        return child.pid ?? 0;
      }),
    );
    await until(() => systemProcFiles.read(`${short}/cmdline`)?.endsWith('xxx\0') === true, 'a command line');
    await until(() => readFileSync(`/proc/${long}/cmdline`).length > 80_000, 'a long command line');
    expect(systemProcFiles.read(`${long}/cmdline`)).toBeUndefined();
    expect(parseStatus(systemProcFiles.read(`${long}/status`) ?? '')?.parent).toBe(process.pid);
  });

  it('finds a listening socket of this process, and all that is in a directory', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const row = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
    expect([...systemProcFiles.lines('self/net/tcp')].filter((line) => line.includes(row))).toHaveLength(1);
    expect([...(systemProcFiles.list('self/task') ?? [])]).toContain(String(process.pid));
  });

  it('finds nothing where there is nothing', () => {
    expect([...systemProcFiles.lines('self/net/none')]).toEqual([]);
    expect(systemProcFiles.list('none')).toBeUndefined();
    expect(systemProcFiles.read('none')).toBeUndefined();
  });
});

/** The text with parts taken out, doubled or replaced. */
function junkOf(text: string): fc.Arbitrary<string> {
  const cut = fc.tuple(fc.nat(text.length), fc.nat(60), fc.string({ unit: 'binary', maxLength: 20 }));
  return fc
    .array(cut, { minLength: 1, maxLength: 5 })
    .map((cuts) => cuts.reduce((all, [at, length, by]) => all.slice(0, at) + by + all.slice(at + length), text));
}
