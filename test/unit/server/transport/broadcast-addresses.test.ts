import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { formatIp } from '../../../../src/address/ip-address.ts';
import { BroadcastAddresses } from '../../../../src/server/transport/broadcast-addresses.ts';

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  networkInterfaces: vi.fn<() => unknown>(),
}));
const interfaces = vi.mocked(networkInterfaces);

function machine(...addresses: readonly (readonly [family: string, address: string, netmask: string])[]): void {
  const list = addresses.map(([family, address, netmask]) => ({ family, address, netmask }));
  interfaces.mockReturnValue({ eth0: list } as unknown as ReturnType<typeof networkInterfaces>);
}

function words(addresses: BroadcastAddresses): readonly string[] {
  return [...addresses.words].map((w3) => formatIp({ w0: 0, w1: 0, w2: 0xffff, w3 }));
}

function unexpected(error: unknown): never {
  throw error;
}

afterEach(() => {
  interfaces.mockReset();
});

describe('BroadcastAddresses', () => {
  it.each([
    ['IPv4', '192.0.2.2', '255.255.255.0', ['192.0.2.255']],
    ['IPv4', '10.1.2.3', '255.0.0.0', ['10.255.255.255']],
    ['IPv4', '192.0.2.5', '255.255.255.252', ['192.0.2.7']],
    ['IPv4', '200.1.2.3', '128.0.0.0', ['255.255.255.255']],
    ['IPv4', '192.0.2.4', '255.255.255.254', []],
    ['IPv4', '192.0.2.4', '255.255.255.255', []],
    ['IPv6', 'fd00::2', 'ffff:ffff:ffff:ffff::', []],
  ])('%s %s, mask %s: %j', (family, address, netmask, expected) => {
    machine([family, address, netmask]);
    expect(words(new BroadcastAddresses(unexpected))).toEqual(expected);
  });

  it('updates the same set when it reads the interfaces again', () => {
    machine(['IPv4', '192.0.2.2', '255.255.255.0']);
    const addresses = new BroadcastAddresses(unexpected);
    const held = addresses.words;
    machine(['IPv4', '10.0.0.1', '255.255.255.0'], ['IPv4', '10.0.1.1', '255.255.255.0']);
    addresses.read();
    expect(words(addresses)).toEqual(['10.0.0.255', '10.0.1.255']);
    expect(addresses.words).toBe(held);
  });

  it('reports an interface read error once and keeps the known addresses', () => {
    machine(['IPv4', '192.0.2.2', '255.255.255.0']);
    const errors: unknown[] = [];
    const addresses = new BroadcastAddresses((error) => errors.push(error));
    const failure = new Error('EAFNOSUPPORT');
    interfaces.mockImplementation(() => {
      throw failure;
    });
    addresses.read();
    addresses.read();
    expect(errors).toEqual([failure]);
    expect(words(addresses)).toEqual(['192.0.2.255']);
  });
});
