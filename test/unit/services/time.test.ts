import { describe, expect, it } from 'vitest';
import { time, type TimeOptions } from '../../../src/services/time.ts';
import type { Service } from '../../../src/service.ts';
import { connect, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

async function create(
  now: string,
  whenUnsynchronized: TimeOptions['whenUnsynchronized'] = 'answer',
): Promise<{ context: FakeContext; service: Service }> {
  const context = new FakeContext(now);
  return { context, service: await time.create({ whenUnsynchronized }, context) };
}

const instants = [
  ['1970-01-01T00:00:00Z', 2_208_988_800],
  ['1976-01-01T00:00:00Z', 2_398_291_200],
  ['1980-01-01T00:00:00Z', 2_524_521_600],
  ['1983-05-01T00:00:00Z', 2_629_584_000],
  ['2026-11-22T11:07:12.999Z', 4_004_334_432],
  ['2036-02-07T06:28:15Z', 4_294_967_295],
  ['2036-02-07T06:28:16Z', 0],
  ['2036-02-07T06:28:17Z', 1],
  ['1900-01-01T00:00:00Z', 0],
] as const;

describe('time (RFC 868) sends the seconds since 1900, modulo 2^32, in exactly four bytes', () => {
  it.each(instants)('%s over TCP: %i, then closes', async (now, seconds) => {
    const { service } = await create(now);
    const { bytes, ended } = connect(service);
    expect(bytes.length).toBe(4);
    expect(bytes.readUInt32BE()).toBe(seconds);
    expect(ended).toBe(true);
  });

  it.each(instants)('%s over UDP: %i', async (now, seconds) => {
    const { service } = await create(now);
    const expected = Buffer.alloc(4);
    expected.writeUInt32BE(seconds);
    expect(service.datagram?.(Buffer.alloc(0), 18, nowhere)).toEqual(expected);
    expect(service.datagram?.(Buffer.alloc(100), 4, nowhere)).toEqual(expected);
  });
});

describe('time', () => {
  it('ignores input', async () => {
    const { service } = await create('2026-11-22T11:07:12Z');
    const connection = new FakeConnection(service);
    connection.send('what?');
    connection.finish();
    expect(connection.client).toMatchObject({ ended: true, writes: [expect.any(Buffer)] });
  });

  it('sends no UDP reply if four bytes do not fit', async () => {
    const { service } = await create('2026-11-22T11:07:12Z');
    expect(service.datagram?.(Buffer.alloc(0), 3, nowhere)).toBeUndefined();
  });

  it('closes TCP without a byte and sends no UDP reply while the clock is not set', async () => {
    const { context, service } = await create('1970-01-01T00:00:05Z');
    context.clockSet = false;
    expect(connect(service)).toMatchObject({ writes: [], ended: true });
    expect(service.datagram?.(Buffer.alloc(0), 512, nowhere)).toBeUndefined();
    context.clockSet = true;
    expect(connect(service).bytes.readUInt32BE()).toBe(2_208_988_805);
  });

  it('answers by default while the clock is not synchronized', async () => {
    const { context, service } = await create('2026-11-22T11:07:12Z');
    context.clockSynchronized = false;
    expect(connect(service).bytes).toHaveLength(4);
  });

  it('closes TCP without a byte and sends no UDP reply while not synchronized, if it is to be silent', async () => {
    const { context, service } = await create('2026-11-22T11:07:12Z', 'silent');
    context.clockSynchronized = false;
    expect(connect(service)).toMatchObject({ writes: [], ended: true });
    expect(service.datagram?.(Buffer.alloc(0), 512, nowhere)).toBeUndefined();
    context.clockSynchronized = true;
    expect(connect(service).bytes.readUInt32BE()).toBe(4_004_334_432);
  });

  it('caches the reply within a second without reusing its buffer', async () => {
    const { context, service } = await create('2026-11-22T11:07:12Z');
    const first = service.datagram?.(Buffer.alloc(0), 4, nowhere) as Buffer;
    expect(service.datagram?.(Buffer.alloc(0), 4, nowhere)).toBe(first);
    context.nowMs += 1000;
    const second = service.datagram?.(Buffer.alloc(0), 4, nowhere) as Buffer;
    expect([first.readUInt32BE(), second.readUInt32BE()]).toEqual([4_004_334_432, 4_004_334_433]);
  });
});
