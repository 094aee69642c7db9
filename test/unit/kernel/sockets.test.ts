import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseIp } from '../../../src/address/ip-address.ts';
import {
  allowFragments,
  allowOverlap,
  bindUdp,
  boundTo,
  formatInetAddress,
  type InetAddress,
  interfaceIndexOf,
  interfaceNameOf,
  kindOf,
  listenTcp,
  connectUnix,
  listenUnix,
} from '../../../src/kernel/sockets.ts';
import { duplicate } from '../../../src/kernel/descriptors.ts';
import { temporaryDirectory } from '../../support/daemon-process.ts';
import { expectedRefusal, sendDescriptorAt, sendDescriptorTo } from '../../support/descriptor-sender.ts';

function at(address: string, port = 0): InetAddress {
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(address);
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', ip, port, interfaceIndex: 0 };
}

function kept(descriptor: number): number {
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

function portOf(descriptor: number): number {
  const bound = boundTo(descriptor);
  return 'port' in bound ? bound.port : 0;
}

/** What Python's socket module says of a descriptor that it inherits. */
function seenByPython(descriptor: number): unknown {
  const script = `
import json, socket
s = socket.socket(fileno=3)
v6only = s.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) if s.family == socket.AF_INET6 else None
print(json.dumps([s.family.name, s.type.name, s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), s.getsockname(), v6only]))`;
  return JSON.parse(
    execFileSync('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', descriptor] }).toString(),
  );
}

describe('a direct socket', () => {
  it('listens over TCP, as Python sees it', () => {
    const v4 = kept(listenTcp(at('127.0.0.1'), 16));
    expect(seenByPython(v4)).toEqual(['AF_INET', 'SOCK_STREAM', 1, ['127.0.0.1', portOf(v4)], null]);
    const v6 = kept(listenTcp(at('::1'), 16));
    expect(seenByPython(v6)).toEqual(['AF_INET6', 'SOCK_STREAM', 1, ['::1', portOf(v6), 0, 0], 1]);
    expect([v4, v6].map(kindOf)).toEqual([
      { family: 'ipv4', type: 'stream', isListening: true },
      { family: 'ipv6', type: 'stream', isListening: true },
    ]);
  });

  it('is bound over UDP, as Python sees it', () => {
    const descriptor = kept(bindUdp(at('127.0.0.3'), 100_000));
    expect(seenByPython(descriptor)).toEqual(['AF_INET', 'SOCK_DGRAM', 0, ['127.0.0.3', portOf(descriptor)], null]);
    expect(kindOf(descriptor)).toEqual({ family: 'ipv4', type: 'datagram', isListening: false });
  });

  it('listens on a path, as Python sees it', () => {
    const path = join(temporaryDirectory(), 'socket');
    const descriptor = kept(listenUnix(path, 16));
    expect(seenByPython(descriptor)).toEqual(['AF_UNIX', 'SOCK_STREAM', 1, path, null]);
    expect(boundTo(descriptor)).toEqual({ family: 'unix', path });
    expect(statSync(path).isSocket()).toBe(true);
  });

  it('refuses descriptors that are sent to it, where the kernel can', async () => {
    const path = join(temporaryDirectory(), 'socket');
    kept(listenUnix(path, 16));
    expect(await sendDescriptorTo(path)).toBe(expectedRefusal());
  });

  it('connects to a path, and refuses descriptors from there', async () => {
    const path = join(temporaryDirectory(), 'socket');
    const outcome = await sendDescriptorAt(path, 'hello');
    const client = new Socket({ fd: connectUnix(path) });
    onTestFinished(() => void client.destroy());
    expect(await outcome()).toBe(expectedRefusal());
    expect(() => connectUnix(`${path}-gone`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });

  it('lets clients connect before anybody accepts', async () => {
    const client: Socket = connect(portOf(kept(listenTcp(at('127.0.0.1'), 16))), '127.0.0.1');
    onTestFinished(() => void client.destroy());
    await once(client, 'connect');
  });

  it('does not block, and is not inherited', () => {
    const descriptor = kept(bindUdp(at('127.0.0.1'), 100_000));
    const flags = /^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
    // O_NONBLOCK and O_CLOEXEC, as proc(5) prints them.
    expect(Number.parseInt(flags ?? '0', 8) & 0o2_004_000).toBe(0o2_004_000);
  });

  it.each([
    [
      'an address that is taken',
      () => listenTcp(at('127.0.0.1', portOf(kept(listenTcp(at('127.0.0.1'), 1)))), 1),
      'EADDRINUSE',
    ],
    ['an address of another machine', () => bindUdp(at('192.0.2.254'), 1), 'EADDRNOTAVAIL'],
    ['a link-local address without a zone', () => bindUdp(at('fe80::1'), 1), 'EINVAL'],
    ['a directory that does not exist', () => listenUnix('/nonexistent/socket', 1), 'ENOENT'],
    ['a path that is too long', () => listenUnix(`/${'x'.repeat(107)}`, 1), 'ENAMETOOLONG'],
    ['an interface that does not exist', () => interfaceIndexOf('nonexistent0'), 'ENODEV'],
    ['a closed descriptor', () => boundTo(999_999), 'EBADF'],
  ])('throws the system error for %s, and leaves nothing open', (_, open, code) => {
    expect(open).toThrow(expect.objectContaining({ code, message: expect.stringContaining(code) as string }));
  });

  it.each(['192.0.2.254', '2001:db8::254'])('is bound to %s, which this machine does not have, if asked', (address) => {
    const bound = { ...at(address), port: expect.any(Number) as number };
    expect(boundTo(kept(listenTcp(at(address), 1, { freebind: true })))).toEqual(bound);
    expect(boundTo(kept(bindUdp(at(address), 1, { freebind: true })))).toEqual(bound);
  });

  it.each(['127.0.0.1', '::1'])('bound to %s may fragment datagrams, or leaves that to the kernel', (address) => {
    const { family } = at(address);
    const descriptor = kept(bindUdp(at(address), 1));
    const script = `
import json, socket
s = socket.socket(fileno=3)
options = [(0, 10)] if s.family == socket.AF_INET else [(0, 10), (41, 23)]
print(json.dumps([s.getsockopt(level, name) for level, name in options]))`;
    const seen = (): readonly number[] =>
      JSON.parse(
        execFileSync('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', descriptor] }).toString(),
      ) as readonly number[];
    const before = seen();
    allowFragments(descriptor, family, false);
    expect(seen()).toEqual(before);
    allowFragments(descriptor, family, true);
    expect(seen()).toEqual(before.map(() => 0));
    allowFragments(descriptor, family, false);
    expect(seen()).toEqual(before);
  });

  it('may overlap with another one only while both allow it', () => {
    const one = kept(listenTcp(at('127.0.0.1'), 1));
    const all = at('0.0.0.0', portOf(one));
    expect(() => listenTcp(all, 1, { mayOverlap: true })).toThrow('EADDRINUSE');
    allowOverlap(one, true);
    expect(() => listenTcp(all, 1)).toThrow('EADDRINUSE');
    const two = kept(listenTcp(all, 1, { mayOverlap: true }));
    for (const descriptor of [one, two]) allowOverlap(descriptor, false);
    expect(() => listenTcp(at('127.0.0.2', portOf(one)), 1)).toThrow('EADDRINUSE');
  });
});

describe('kindOf', () => {
  it('knows no files, pipes and numbers that are not open', () => {
    const file = kept(openSync('/dev/null', 'r'));
    expect([file, -1, 999_999, 2 ** 31 - 1].map(kindOf)).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe('arguments that libc would misunderstand', () => {
  it.each([-1, 0.5, 65_536, Number.NaN])('a port of %d is refused', (port) => {
    expect(() => kept(listenTcp(at('127.0.0.1', port), 16))).toThrow(RangeError);
    expect(() => kept(bindUdp(at('::1', port), 100_000))).toThrow(RangeError);
  });

  it.each([null, undefined, 5])('%s is not the name of an interface', (name) => {
    expect(() => interfaceIndexOf(name as unknown as string)).toThrow(TypeError);
  });

  it.each([-1, 0.5, Number.NaN])('descriptor %d is not duplicated', (descriptor) => {
    expect(() => duplicate(descriptor)).toThrow(RangeError);
  });
});

describe('interfaces', () => {
  it('have an index and a name', () => {
    expect(interfaceIndexOf('lo')).toBe(Number(readFileSync('/sys/class/net/lo/ifindex', 'utf8')));
    expect(interfaceNameOf(interfaceIndexOf('lo'))).toBe('lo');
    expect(interfaceNameOf(2 ** 30)).toBe(String(2 ** 30));
  });

  it('are the zone of a link-local address', () => {
    expect(formatInetAddress({ ...at('fe80::1'), interfaceIndex: interfaceIndexOf('lo') })).toBe('fe80::1%lo');
    expect(formatInetAddress(at('::1'))).toBe('::1');
  });
});
