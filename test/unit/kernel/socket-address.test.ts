import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp, parseIp } from '../../../src/address/ip-address.ts';
import { AF_INET, AF_INET6, AF_UNIX, SocketAddress } from '../../../src/kernel/socket-address.ts';

function ip(text: string): ReturnType<typeof parseIp> & object {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

function hex(address: SocketAddress): string {
  return Buffer.from(address.bytes.subarray(0, address.length[0])).toString('hex');
}

/** What Python's ctypes lays out for `struct sockaddr_in`, `sockaddr_in6` and `sockaddr_un` on this machine. */
const layouts = execFileSync('python3', [
  '-c',
  `
import ctypes, socket
class In(ctypes.Structure): _fields_ = [("family", ctypes.c_uint16), ("port", ctypes.c_uint16), ("ip", ctypes.c_uint8 * 4), ("zero", ctypes.c_uint8 * 8)]
class In6(ctypes.Structure): _fields_ = [("family", ctypes.c_uint16), ("port", ctypes.c_uint16), ("flow", ctypes.c_uint32), ("ip", ctypes.c_uint8 * 16), ("scope", ctypes.c_uint32)]
v4 = In(socket.AF_INET, socket.htons(7), (ctypes.c_uint8 * 4)(*socket.inet_aton("192.0.2.1")))
v6 = In6(socket.AF_INET6, socket.htons(65535), 0, (ctypes.c_uint8 * 16)(*socket.inet_pton(socket.AF_INET6, "fe80::1:2")), 3)
print(bytes(v4).hex(), bytes(v6).hex())
`,
])
  .toString()
  .trim()
  .split(' ');

describe('SocketAddress', () => {
  it('is laid out as the C library does it', () => {
    expect(hex(new SocketAddress().setIpv4(ip('192.0.2.1'), 7))).toBe(layouts[0]);
    expect(hex(new SocketAddress().setIpv6(ip('fe80::1:2'), 65_535, 3))).toBe(layouts[1]);
    expect(hex(new SocketAddress().setPath('/run/é'))).toBe(`0100${Buffer.from('/run/é').toString('hex')}00`);
  });

  it('tells the zone of a link-local address, and only of that', () => {
    expect(new SocketAddress().setIpv6(ip('fe80::1'), 7, 3).source).toEqual({ ...ip('fe80::1'), zone: 3 });
    expect(new SocketAddress().setIpv6(ip('2001:db8::1'), 7, 0).source).toEqual(ip('2001:db8::1'));
    expect(new SocketAddress().setIpv4(ip('192.0.2.1'), 7).source).toEqual(ip('192.0.2.1'));
  });

  it('returns what was set', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), fc.nat(65_535), fc.nat(0xffff_ffff), (v4, v6, port, interfaceIndex) => {
        const address = new SocketAddress().setIpv4(ip(v4), port);
        expect([address.family, formatIp(address.ip), address.port]).toEqual([AF_INET, formatIp(ip(v4)), port]);
        address.setIpv6(ip(v6), port, interfaceIndex);
        expect([address.family, address.ip, address.port, address.interfaceIndex]).toEqual([
          AF_INET6,
          ip(v6),
          port,
          interfaceIndex,
        ]);
        address.setPath(`/${port}`);
        expect([address.family, address.path, address.interfaceIndex]).toEqual([AF_UNIX, `/${port}`, 0]);
      }),
    );
  });

  it.each([
    ['', 'EINVAL'],
    ['/a\0b', 'EINVAL'],
    ['\0abstract', 'EINVAL'],
    ['x'.repeat(108), 'ENAMETOOLONG'],
    ['é'.repeat(54), 'ENAMETOOLONG'],
  ])('refuses the path %j', (path, code) => {
    expect(() => new SocketAddress().setPath(path)).toThrow(expect.objectContaining({ code }));
  });

  it('takes a path of 107 bytes', () => {
    const path = 'x'.repeat(107);
    const address = new SocketAddress().setPath(path);
    expect([address.length[0], address.path]).toEqual([110, path]);
  });

  it('reads nothing outside its memory, whatever length the kernel gives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 128, maxLength: 128 }), fc.nat(0xffff_ffff), (bytes, length) => {
        const address = new SocketAddress();
        address.bytes.set(bytes);
        address.length[0] = length;
        expect(address.path.length).toBeLessThanOrEqual(126);
        expect(address.port).toBeLessThan(65_536);
        expect(formatIp(address.ip)).not.toBe('');
        if (length < 2) expect(address.family).toBe(0);
      }),
    );
  });
});
