import { describe, expect, test } from 'vitest';
import { type AddressLookup, resolveHost } from '../../../../src/client/dial/resolve-host.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const patience = { timeoutMs: 5000 };

/** Knows these addresses, and says which family it was asked for. */
function knows(...found: readonly { address: string; family: number }[]): AddressLookup {
  return (_host, _family, done) => done(null, found);
}

function fails(code: string): AddressLookup {
  return (_host, _family, done) => done(Object.assign(new Error(`getaddrinfo ${code}`), { code }), []);
}

function never(): never {
  throw new Error('asked');
}

/** As Node gives them. */
const four = { address: '192.0.2.1', family: 4 } as const;
const six = { address: '2001:db8::1', family: 6 } as const;

describe('resolveHost', () => {
  test('keeps the system order and drops duplicates', async () => {
    const lookup = knows(six, four, six, { address: '192.0.2.2', family: 4 });
    expect(await resolveHost('both.example', 'both', patience, lookup)).toEqual([
      { address: '2001:db8::1', family: 'ipv6' },
      { address: '192.0.2.1', family: 'ipv4' },
      { address: '192.0.2.2', family: 'ipv4' },
    ]);
  });

  test.each(['localhost', 'LOCALHOST.', 'a.b.localhost'])('never asks for %s, which is loopback', async (host) => {
    const [first, ...others] = await resolveHost(host, 'both', patience, never);
    for (const { address } of [first, ...others]) expect(['127.0.0.1', '::1']).toContain(address);
    expect(await resolveHost(host, 'ipv4', patience, never)).toEqual([{ address: '127.0.0.1', family: 'ipv4' }]);
    expect(await resolveHost(host, 'ipv6', patience, never)).toEqual([{ address: '::1', family: 'ipv6' }]);
  });

  test.each([
    ['both', 0],
    ['ipv4', 4],
    ['ipv6', 6],
  ] as const)('passes %s to the lookup as family %d', async (family, number) => {
    const asked: unknown[] = [];
    const lookup: AddressLookup = (host, wanted, done) => {
      asked.push([host, wanted]);
      done(null, [four, six]);
    };
    await resolveHost('both.example', family, patience, lookup);
    expect(asked).toEqual([['both.example', number]]);
  });

  test.each([
    ['ipv4', six, 'both.example has no IPv4 address'],
    ['ipv6', four, 'both.example has no IPv6 address'],
  ] as const)('fails for %s if the host has only the other family', async (family, found, message) => {
    const resolved = resolveHost('both.example', family, patience, knows(found));
    await expect(resolved).rejects.toMatchObject({ code: 'HOST_NOT_FOUND', exitCode: 2, message });
  });

  test.each([
    ['ENOTFOUND', 'a.example has no address', 'no-name'],
    ['EAI_AGAIN', 'cannot resolve a.example: no name server answers', 'timeout'],
    ['ETIMEOUT', 'cannot resolve a.example: no name server answers', 'timeout'],
  ])('reports %s as "%s"', async (code, message, outcome) => {
    const resolved = resolveHost('a.example', 'both', patience, fails(code));
    await expect(resolved).rejects.toMatchObject({ code: 'HOST_NOT_FOUND', message, outcome, exitCode: 2 });
    await expect(resolved).rejects.toMatchObject({ cause: { code } });
  });

  test('gives up after the timeout', async () => {
    const clock = new FakeClock();
    const resolved = resolveHost('a.example', 'both', { timeoutMs: 5000, clock }, () => {});
    clock.advance(5000);
    const message = 'cannot resolve a.example: no answer within 5s';
    await expect(resolved).rejects.toMatchObject({ code: 'HOST_NOT_FOUND', message, outcome: 'timeout' });
  });

  test('can be interrupted', async () => {
    const abort = new AbortController();
    const resolved = resolveHost('a.example', 'both', { timeoutMs: 5000, signal: abort.signal }, () => {});
    abort.abort();
    await expect(resolved).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
  });

  test('uses the system resolver, which accepts IP addresses', async () => {
    expect(await resolveHost('127.0.0.1', 'both', patience)).toEqual([{ address: '127.0.0.1', family: 'ipv4' }]);
    expect(await resolveHost('::1', 'both', patience)).toEqual([{ address: '::1', family: 'ipv6' }]);
    await expect(resolveHost('127.0.0.1', 'ipv6', patience)).rejects.toMatchObject({ code: 'HOST_NOT_FOUND' });
    expect(await resolveHost('localhost', 'ipv4', patience)).toEqual([{ address: '127.0.0.1', family: 'ipv4' }]);
  });
});
