import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorEstimate } from '../../../src/clock/ntp-format.ts';
import type { DatagramOrigin, Service } from '../../../src/service.ts';
import { stamp, type StampOptions } from '../../../src/services/stamp.ts';
import { FakeContext } from '../../support/fake-context.ts';

/** 2026-11-22T11:07:12Z is eead4b60 in NTP's seconds. */
const noonUs = 1_795_345_632e6;

const origin: DatagramOrigin = {
  peer: { family: 'ipv4', address: '192.0.2.1', port: 40_000 },
  via: undefined,
  local: { family: 'ipv4', address: '192.0.2.2', port: 862 },
  listener: 'udp://0.0.0.0:862',
  receivedAtUs: noonUs + 250_000,
  ttl: 61,
  dscp: 46,
  ecn: 0,
};

const unlimited = 65_507;

async function create(mode: StampOptions['mode'] = 'stateless'): Promise<{ context: FakeContext; service: Service }> {
  const context = new FakeContext(noonUs / 1000);
  context.exactUs = noonUs + 500_000;
  context.errorUs = 1_000_000;
  return { context, service: await stamp.create({ mode }, context) };
}

function bytes(...hex: readonly string[]): Buffer {
  return Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');
}

function ask(service: Service, request: Uint8Array, from = origin, limit = unlimited): Buffer | undefined {
  return service.datagram?.(request, limit, from) as Buffer | undefined;
}

/** Sequence number 7, a time, an error estimate (synchronized, 1 × 2^-16 s), session identifier 4660. */
const sender = bytes('00000007', 'eead4b5f 80000000', '9001', '1234');
const basePacket = Buffer.concat([sender, Buffer.alloc(28)]);

describe('stamp (RFC 8762)', () => {
  it('reflects a base packet, byte for byte', async () => {
    const { service } = await create();
    expect(ask(service, basePacket)?.toString('hex')).toBe(
      [
        '00000007', // sequence number
        'eead4b6080000000', // when it left: half a second past
        '9980', // synchronized, NTP's format, 128 × 2^(25 − 32) s
        '1234', // session identifier
        'eead4b6040000000', // when it arrived: a quarter past
        '00000007', // the sender's sequence number,
        'eead4b5f80000000', // timestamp
        '9001', // and error estimate
        '0000',
        '3d', // TTL 61
        '000000',
      ].join(''),
    );
  });

  it('returns the padding of TWAMP Light unchanged if it is zeros', async () => {
    const { service } = await create();
    const reply = ask(service, Buffer.concat([basePacket, Buffer.alloc(100)]));
    expect(reply).toHaveLength(144);
    expect(reply?.subarray(44)).toEqual(Buffer.alloc(100));
  });

  it('answers TLVs after the base packet (RFC 8972)', async () => {
    const { service } = await create();
    const request = Buffer.concat([basePacket, bytes('80040004b8000000', '80c80000')]);
    expect(ask(service, request)?.toString('hex', 44)).toBe('00040004bae0000080c80000');
  });

  it.each([14, 16, 24, 43])('answers %i bytes of TWAMP Light with a base packet (section 4.6)', async (length) => {
    const { service } = await create();
    const reply = ask(service, basePacket.subarray(0, length));
    expect(reply).toHaveLength(44);
    expect(reply?.toString('hex', 14, 16)).toBe(length < 16 ? '0000' : '1234');
    expect(reply?.toString('hex', 24, 38)).toBe(sender.toString('hex', 0, 14));
    expect(reply?.readUInt8(40)).toBe(61);
  });

  it.each([
    [14, 43, 43],
    [14, 24, 24],
    [30, 30, 30],
    [14, 23, undefined],
    [14, 14, undefined],
    [44, 43, undefined],
    [44, -1, undefined],
  ])('answers %i bytes within a limit of %i with %s', async (length, limit, expected) => {
    const { service } = await create();
    expect(ask(service, basePacket.subarray(0, length), origin, limit)?.length).toBe(expected);
  });

  it.each([0, 1, 13])('does not answer %i bytes', async (length) => {
    const { service } = await create();
    expect(ask(service, Buffer.alloc(length))).toBeUndefined();
  });

  it('reports TTL 255 where the system does not tell it (RFC 5357)', async () => {
    const { service } = await create();
    expect(ask(service, basePacket, { ...origin, ttl: undefined })?.readUInt8(40)).toBe(255);
  });

  it('does not say that its clock is synchronized while it is not, or not set', async () => {
    const { context, service } = await create();
    const sBits = [{}, { clockSynchronized: false }, { clockSynchronized: true, clockSet: false }].map((state) => {
      Object.assign(context, state);
      return (ask(service, basePacket)?.readUInt8(12) ?? Number.NaN) >>> 7;
    });
    expect(sBits).toEqual([1, 0, 0]);
  });

  it('claims no error below the microsecond to which it knows the time', async () => {
    const { context, service } = await create();
    context.errorUs = 0;
    expect(ask(service, basePacket)?.readUInt16BE(12)).toBe(errorEstimate(1, true));
  });

  it('wraps the seconds in 2036', async () => {
    const { context, service } = await create();
    context.exactUs = Date.UTC(2036, 1, 7, 6, 28, 16) * 1000;
    const reply = ask(service, basePacket, { ...origin, receivedAtUs: context.exactUs - 1 });
    expect(reply?.toString('hex', 4, 12)).toBe('0000000000000000');
    expect(reply?.toString('hex', 16, 24)).toBe('ffffffffffffef39');
  });

  it('reads kernel times and headers, and sends each reply at once', async () => {
    const { service } = await create();
    expect(service).toMatchObject({ readsHeaders: true, repliesAtOnce: true });
  });
});

describe('the numbers of a stateful reflector', () => {
  it('count the replies of each session: sender, address asked, and identifier', async () => {
    const { service } = await create('stateful');
    const other = Buffer.from(basePacket);
    other.writeUInt16BE(9, 14);
    const { peer, local } = origin;
    const asked: readonly (readonly [Buffer, DatagramOrigin])[] = [
      [basePacket, origin],
      [basePacket, origin],
      [other, origin],
      [basePacket, { ...origin, peer: { ...peer, port: 40_001 } }],
      [basePacket, { ...origin, peer: { ...peer, address: '192.0.2.9' } }],
      [basePacket, { ...origin, local: { ...local, address: '192.0.2.3' } }],
      [basePacket, { ...origin, local: { ...local, port: 863 } }],
      [basePacket, origin],
    ];
    const replies = asked.map(([request, from]) => ask(service, request, from));
    expect(replies.map((reply) => reply?.readUInt32BE())).toEqual([0, 1, 0, 0, 0, 0, 0, 2]);
    expect(replies.map((reply) => reply?.readUInt32BE(24))).toEqual(Array(8).fill(7));
  });

  it('do not count what is not answered', async () => {
    const { service } = await create('stateful');
    const reply = ask(service, basePacket);
    expect(ask(service, reply ?? Buffer.alloc(0))).toBeUndefined();
    expect(ask(service, basePacket)?.readUInt32BE()).toBe(1);
  });
});

describe('the error estimate (RFC 4656)', () => {
  it.each([
    [0, 0x0001],
    [1_000_000, 0x1980], // 128 × 2^(25 − 32) s
    [16_000_000, 0x1d80], // 128 × 2^(29 − 32) s
  ])('of %i µs is %i', (errorUs, estimate) => {
    expect(errorEstimate(errorUs, false)).toBe(estimate);
    expect(errorEstimate(errorUs, true)).toBe(estimate | 0x8000);
  });

  it('is never 0 and never below the error, and above it by less than one part in 60', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16_000_000 }), (errorUs) => {
        const estimate = errorEstimate(errorUs, false);
        const [scale, multiplier] = [estimate >>> 8, estimate & 0xff];
        const seconds = multiplier * 2 ** (scale - 32);
        expect(multiplier).toBeGreaterThan(0);
        expect(scale).toBeLessThan(64);
        expect(seconds).toBeGreaterThanOrEqual(errorUs / 1e6);
        expect(seconds).toBeLessThan((errorUs / 1e6) * (1 + 1 / 60));
      }),
    );
  });
});

describe('what does not come from a sender is not answered', () => {
  it.each([
    ['daytime', 'Sunday, November 22, 2026 11:07:12-UTC\r\n'],
    ['chargen', ' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n'],
    ['systat', '2 users\r\n2 users\r\n'],
    ['time', '\xee\xad\x4b\x60'],
  ])('a reply of %s', async (_service, text) => {
    const { service } = await create();
    expect(ask(service, Buffer.from(text, 'latin1'))).toBeUndefined();
  });

  it('a reply of another reflector, whatever its clock', async () => {
    const { context, service } = await create();
    for (const exactUs of [0, noonUs, Date.UTC(2036, 1, 7, 6, 28, 16) * 1000, Date.UTC(2100, 0, 1) * 1000]) {
      context.exactUs = exactUs;
      for (const length of [14, 24, 44, 45, 1472]) {
        const reply = ask(service, Buffer.concat([basePacket, Buffer.alloc(1500)]).subarray(0, length), {
          ...origin,
          receivedAtUs: exactUs - 1500,
        });
        expect(reply?.length).toBe(Math.max(44, length));
        expect(ask(service, reply ?? Buffer.alloc(0))).toBeUndefined();
      }
    }
  });

  it('a reply in the other format for times (Z = 1)', async () => {
    const { service } = await create();
    // Seconds since 1970 and nanoseconds.
    const times = ['6b02cce0 1dcd6500', '6b02cce0 0ee6b280'] as const;
    const reply = bytes(
      '00000001',
      times[0],
      '4001',
      '0000',
      times[1],
      '00000001',
      times[1],
      '4001',
      '0000',
      '3d000000',
    );
    expect(ask(service, reply)).toBeUndefined();
  });

  it('and a sender with random padding is', async () => {
    const { service } = await create();
    const paddings = fc.sample(fc.uint8Array({ minLength: 30, maxLength: 30 }), { numRuns: 200, seed: 8762 });
    const replies = paddings.map((padding) => ask(service, Buffer.concat([sender.subarray(0, 14), padding])));
    expect(replies.every((reply) => reply?.length === 44)).toBe(true);
  });
});

describe('any datagram', () => {
  const datagram = fc.uint8Array({ maxLength: 300 });
  const limits = fc.integer({ min: -1, max: 700 });

  it('is answered with one as long as itself, at least a base packet as far as that fits, or not at all', async () => {
    const { service } = await create();
    fc.assert(
      fc.property(datagram, limits, (request, limit) => {
        const reply = ask(service, request, origin, limit);
        if (reply === undefined) return;
        expect(reply.length).toBe(Math.max(request.length, Math.min(44, limit)));
        expect(reply.length).toBeLessThanOrEqual(limit);
      }),
    );
  });

  it('that is forged does not make two reflectors answer each other', async () => {
    const [near, far] = [await create('stateful'), await create('stateless')];
    fc.assert(
      fc.property(datagram, fc.integer({ min: 14, max: 700 }), (forged, limit) => {
        let [one, other] = [far.service, near.service];
        let exchanged = 0;
        for (let packet: Buffer | undefined = Buffer.from(forged); exchanged < 10; exchanged += 1) {
          packet = ask(one, packet, origin, limit);
          if (packet === undefined) break;
          [one, other] = [other, one];
        }
        expect(exchanged).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('leaves the bytes of the request as they were', async () => {
    const { service } = await create();
    fc.assert(
      fc.property(datagram, (request) => {
        const before = Buffer.from(request);
        ask(service, request);
        expect(Buffer.from(request)).toEqual(before);
      }),
    );
  });
});
