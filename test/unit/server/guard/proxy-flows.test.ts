import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../../src/address/ip-address.ts';
import { type FlowMemory, flowBytes, ProxyFlows, type HostPort } from '../../../../src/server/guard/proxy-flows.ts';
import { SourceHash } from '../../../../src/server/guard/source-hash.ts';
import { ip, seededRandom } from './fixtures.ts';

const idleTimeoutMs = 300_000;
const rows = 65_536;

interface Time {
  ms: number;
}

function memoryOf(time: Time): FlowMemory {
  const hash = SourceHash.random(seededRandom(1));
  return { memory: new ArrayBuffer(8 + flowBytes), offset: 8, hash, nowMs: () => time.ms };
}

function flowsAt(time: Time, timeoutMs = idleTimeoutMs): ProxyFlows {
  return new ProxyFlows(timeoutMs, memoryOf(time));
}

function at(address: string, port: number): HostPort {
  return { ip: ip(address), port };
}

function found(flows: ProxyFlows, proxy: HostPort): string | undefined {
  const client = flows.find(proxy);
  return client === undefined ? undefined : `${formatIp(client.ip)} ${client.port}`;
}

/** The ports of a proxy whose flows are known. */
function known(flows: ProxyFlows, proxy: string): readonly number[] {
  return Array.from({ length: 65_535 }, (_, index) => index + 1).filter((port) => flows.find(at(proxy, port)));
}

function fill(flows: ProxyFlows, proxy: string, time: Time): void {
  for (let port = 1; port <= 65_535; port += 1) {
    time.ms += 1;
    flows.set(at(proxy, port), at('192.0.2.7', port));
  }
}

describe('a flow', () => {
  it('is known by the address, zone and port of its proxy', () => {
    const flows = flowsAt({ ms: 0 });
    flows.set(at('10.0.0.1', 50_000), at('192.0.2.7', 40_000));
    flows.set(at('fe80::1%3', 50_000), at('2001:db8::7', 40_001));
    expect(found(flows, at('10.0.0.1', 50_000))).toBe('192.0.2.7 40000');
    expect(found(flows, at('fe80::1%3', 50_000))).toBe('2001:db8::7 40001');
    for (const other of [
      at('10.0.0.1', 50_001),
      at('10.0.0.2', 50_000),
      at('fe80::1%4', 50_000),
      at('fe80::1', 50_000),
    ])
      expect(found(flows, other)).toBeUndefined();
  });

  it('has the zone of its client', () => {
    const flows = flowsAt({ ms: 0 });
    const proxy = at('fe80::1%3', 50_000);
    for (const client of [proxy, at('fe80::1', 50_000), at('fe80::2%4', 40_000), at('192.0.2.7', 40_000)]) {
      flows.set(proxy, client);
      expect(flows.find(proxy)).toEqual(client);
    }
  });

  it('is forgotten when nothing has come for its timeout, whatever a hostile process has written as its last use', () => {
    const time = { ms: 1000 };
    const memory = memoryOf(time);
    const flows = new ProxyFlows(idleTimeoutMs, memory);
    for (const written of [Infinity, 1e300, Number.NaN, time.ms + idleTimeoutMs]) {
      flows.set(at('10.0.0.1', 50_000), at('192.0.2.7', 40_000));
      new Float64Array(memory.memory, memory.offset, rows).fill(written);
      time.ms += 2 * idleTimeoutMs + 1;
      expect(found(flows, at('10.0.0.1', 50_000)), String(written)).toBeUndefined();
    }
  });

  it('is not known if its process was killed while it remembered the client', () => {
    const memory = memoryOf({ ms: 0 });
    const proxy = at('10.0.0.1', 50_000);
    new ProxyFlows(idleTimeoutMs, memory).set(proxy, at('192.0.2.7', 40_000));
    const { ip: address } = at('198.51.100.7', 40_000);
    const killed = {
      ...address,
      get w3(): number {
        throw new Error('killed');
      },
    };
    const flows = new ProxyFlows(idleTimeoutMs, memory);
    expect(() => flows.set(proxy, { ip: killed, port: 40_001 })).toThrow('killed');
    expect(found(new ProxyFlows(idleTimeoutMs, memory), proxy)).toBeUndefined();
    flows.set(proxy, at('192.0.2.8', 40_002));
    expect(found(flows, proxy)).toBe('192.0.2.8 40002');
  });

  it('has the client that was named last', () => {
    const flows = flowsAt({ ms: 0 });
    flows.set(at('10.0.0.1', 50_000), at('192.0.2.7', 40_000));
    flows.set(at('10.0.0.1', 50_000), at('192.0.2.8', 0));
    expect(found(flows, at('10.0.0.1', 50_000))).toBe('192.0.2.8 0');
  });

  it('is forgotten when nothing has come for the timeout', () => {
    const time = { ms: 1000 };
    const flows = flowsAt(time);
    flows.set(at('10.0.0.1', 50_000), at('192.0.2.7', 40_000));
    for (let turn = 0; turn < 3; turn += 1) {
      time.ms += idleTimeoutMs;
      expect(found(flows, at('10.0.0.1', 50_000))).toBe('192.0.2.7 40000');
    }
    time.ms += idleTimeoutMs + 1;
    expect(found(flows, at('10.0.0.1', 50_000))).toBeUndefined();
  });

  it('is never forgotten without a timeout', () => {
    const time = { ms: 0 };
    const flows = flowsAt(time, Infinity);
    flows.set(at('10.0.0.1', 50_000), at('192.0.2.7', 40_000));
    time.ms = 1e12;
    expect(found(flows, at('10.0.0.1', 50_000))).toBe('192.0.2.7 40000');
  });

  it('does not exist for port 0', () => {
    const flows = flowsAt({ ms: 0 });
    flows.set(at('10.0.0.1', 0), at('192.0.2.7', 40_000));
    expect(found(flows, at('10.0.0.1', 0))).toBeUndefined();
    expect(found(flows, at('::', 0))).toBeUndefined();
  });

  it('is known to whoever uses the memory next', () => {
    const memory = memoryOf({ ms: 0 });
    new ProxyFlows(idleTimeoutMs, memory).set(at('10.0.0.1', 50_000), at('192.0.2.7', 40_000));
    expect(found(new ProxyFlows(idleTimeoutMs, memory), at('10.0.0.1', 50_000))).toBe('192.0.2.7 40000');
  });
});

describe('all ports of a proxy', () => {
  it('have room at the same time', () => {
    const time = { ms: 0 };
    const flows = flowsAt(time);
    fill(flows, '10.0.0.1', time);
    expect(known(flows, '10.0.0.1')).toHaveLength(65_535);
  });

  it('push out at most half of the flows of another proxy, the oldest first', () => {
    const time = { ms: 0 };
    const flows = flowsAt(time);
    fill(flows, '10.0.0.1', time);
    for (let turn = 0; turn < 2; turn += 1) fill(flows, '10.0.0.2', time);
    const left = known(flows, '10.0.0.1');
    expect(left).toHaveLength(32_768);
    expect(Math.min(...left)).toBe(32_768);
  });

  it('push out no flow of a proxy that has few', () => {
    const time = { ms: 0 };
    const flows = flowsAt(time);
    for (let port = 40_000; port < 50_000; port += 1) flows.set(at('10.0.0.1', port), at('192.0.2.7', port));
    fill(flows, '10.0.0.2', time);
    fill(flows, '10.0.0.3', time);
    expect(known(flows, '10.0.0.1')).toHaveLength(10_000);
  });

  it('take the room of flows that are idle', () => {
    const time = { ms: 0 };
    const flows = flowsAt(time);
    fill(flows, '10.0.0.1', time);
    time.ms += idleTimeoutMs + 1;
    fill(flows, '10.0.0.2', time);
    expect(known(flows, '10.0.0.2')).toHaveLength(65_535);
  });
});

it('a flow is remembered whatever another process has left in the memory', () => {
  const memory = memoryOf({ ms: 0 });
  const words = new Uint32Array(memory.memory);
  // Some of these are, as numbers, infinite or none.
  const word = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0x7ff00000, 0xfff00000, 0xffffffff, 0x0a000001));
  fc.assert(
    fc.property(word, fc.integer({ min: 1, max: 65_535 }), (left, port) => {
      words.fill(left);
      const flows = new ProxyFlows(idleTimeoutMs, memory);
      const client = flows.find(at('10.0.0.1', port));
      expect(client).toBeUndefined();
      flows.set(at('10.0.0.1', port), at('192.0.2.7', 40_000));
      expect(found(flows, at('10.0.0.1', port))).toBe('192.0.2.7 40000');
    }),
    { numRuns: 30 },
  );
});

it('flows that find room are those of a plain map', () => {
  // Four flows always find room.
  const proxies = [at('10.0.0.1', 1), at('10.0.0.1', 16_385), at('10.0.0.2', 1), at('fe80::1%3', 1)];
  const step = fc.record({ proxy: fc.nat(3), client: fc.option(fc.nat(9)), ms: fc.nat(400_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const time = { ms: 0 };
      const flows = flowsAt(time);
      const model = new Map<number, { readonly client: number; readonly usedAtMs: number }>();
      for (const { proxy, client, ms } of steps) {
        time.ms += ms;
        const before = model.get(proxy);
        const isKnown = before !== undefined && time.ms - before.usedAtMs <= idleTimeoutMs;
        const address = proxies[proxy]!;
        if (client === null) expect(found(flows, address)).toBe(isKnown ? `192.0.2.7 ${before.client}` : undefined);
        else flows.set(address, at('192.0.2.7', client));
        if (client !== null) model.set(proxy, { client, usedAtMs: time.ms });
        else if (isKnown) model.set(proxy, { ...before, usedAtMs: time.ms });
      }
    }),
    { numRuns: 60 },
  );
});
