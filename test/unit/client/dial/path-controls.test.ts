import { describe, expect, test } from 'vitest';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { DatagramSocket } from '../../../../src/client/dial/datagram-socket.ts';
import {
  familyOnPath,
  needsKernel,
  outgoingOptions,
  type PathControls,
} from '../../../../src/client/dial/path-controls.ts';

describe('a path', () => {
  test.each([
    [{}, 'both', 'both'],
    [{ dscp: 0, ttl: 255, sourcePort: 65_535 }, 'ipv4', 'ipv4'],
    [{ source: '192.0.2.1' }, 'both', 'ipv4'],
    [{ source: '192.0.2.1' }, 'ipv4', 'ipv4'],
    [{ source: '2001:db8::1' }, 'both', 'ipv6'],
    [{ source: 'fe80::1%lo' }, 'both', 'ipv6'],
  ] as const)('%j for %s addresses leaves %s', (path, family, left) => {
    expect(familyOnPath(path, family)).toBe(left);
  });

  test.each([
    [{ source: 'name.example' }, 'both', '"name.example" is not a source address: expected IPv4 or IPv6'],
    [{ source: '192.0.2.1' }, 'ipv6', 'the source address 192.0.2.1 is not an IPv6 address'],
    [{ source: '::1' }, 'ipv4', 'the source address ::1 is not an IPv4 address'],
    [{ source: '224.0.0.1' }, 'both', '224.0.0.1 is not a source address: expected an address of this machine'],
    [
      { source: '255.255.255.255' },
      'both',
      '255.255.255.255 is not a source address: expected an address of this machine',
    ],
    [{ source: '0.0.0.0' }, 'both', '0.0.0.0 is not a source address: expected an address of this machine'],
    [{ source: '::' }, 'both', ':: is not a source address: expected an address of this machine'],
    [{ source: 'ff02::1' }, 'both', 'ff02::1 is not a source address: expected an address of this machine'],
    [{ interface: '' }, 'both', '"" is not an interface: expected 1 to 15 bytes'],
    [{ interface: '0123456789abcdef' }, 'both', '"0123456789abcdef" is not an interface: expected 1 to 15 bytes'],
    [{ dscp: 64 }, 'both', 'the code point is 64: expected 0 to 63'],
    [{ dscp: -1 }, 'both', 'the code point is -1: expected 0 to 63'],
    [{ ttl: 0 }, 'both', 'the time to live is 0: expected 1 to 255'],
    [{ ttl: 1.5 }, 'both', 'the time to live is 1.5: expected 1 to 255'],
    [{ sourcePort: 65_536 }, 'both', 'the source port is 65536: expected 1 to 65535'],
  ] as const)('%j for %s addresses is invalid', (path, family, message) => {
    expect(() => familyOnPath(path, family)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID', exitCode: 64, message }),
    );
  });

  test.each([
    [{}, false],
    [{ sourcePort: 7 }, false],
    [{ dontFragment: false }, false],
    [{ dontFragment: true }, true],
    [{ source: '::1' }, true],
    [{ interface: 'lo' }, true],
    [{ dscp: 0 }, true],
    [{ ttl: 1 }, true],
  ])('%j needs the kernel: %s', (path, expected) => {
    expect(needsKernel(path)).toBe(expected);
  });

  test('becomes the options of a socket', () => {
    const path: PathControls = { source: '192.0.2.1', sourcePort: 7, dscp: 46, ttl: 3, dontFragment: true };
    expect(outgoingOptions(path, 'ipv4')).toEqual({
      source: { ip: parseIp('192.0.2.1'), interfaceIndex: 0 },
      sourcePort: 7,
      trafficClass: 0xb8,
      ttl: 3,
      isUnfragmented: true,
    });
    // An address of the other family is never misread as one.
    expect(outgoingOptions(path, 'ipv6').source).toBeUndefined();
    expect(outgoingOptions({}, 'ipv4')).toEqual({});
  });

  test('has the zone of a link-local source', () => {
    expect(outgoingOptions({ source: 'fe80::1%7' }, 'ipv6').source?.interfaceIndex).toBe(7);
    expect(() => outgoingOptions({ source: 'fe80::1%nowhere' }, 'ipv6')).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    );
  });
});

describe('a socket on a path that is not available', () => {
  const to = { address: '127.0.0.1', family: 'ipv4' } as const;
  const nobody = { datagram: () => {}, failed: () => {} };

  test.each([
    [{ source: '192.0.2.77' }, 'this machine does not have the source address'],
    [{ interface: 'nowhere' }, 'this machine does not have the interface'],
  ])('with %j says so', async (path, reason) => {
    await expect(DatagramSocket.open(to, 7, nobody, path)).rejects.toMatchObject({
      outcome: 'failed',
      message: `cannot send to 127.0.0.1:7: ${reason}`,
    });
  });
});
