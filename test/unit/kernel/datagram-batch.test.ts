import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { formatIp, parseIp } from '../../../src/address/ip-address.ts';
import { libc } from '../../../src/kernel/libc.ts';
import { DatagramBatch, datagramBatch } from '../../../src/kernel/datagram-batch.ts';
import { bindUdp, boundTo, readDroppedDatagrams, tellDestinations } from '../../../src/kernel/sockets.ts';
import { until } from '../../support/wait.ts';

const batch = datagramBatch();

/** A direct socket that tells destinations, and its port. */
function open(address: string, bufferBytes = 1 << 20): { readonly descriptor: number; readonly port: number } {
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(address);
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const descriptor = bindUdp({ family, ip, port: 0, interfaceIndex: 0 }, bufferBytes);
  onTestFinished(() => closeSync(descriptor));
  tellDestinations(descriptor, family);
  const bound = boundTo(descriptor);
  return { descriptor, port: 'port' in bound ? bound.port : 0 };
}

/** As an inherited socket is: IP_PKTINFO of ip(7) is off. */
function forgetDestinations(descriptor: number): void {
  expect(libc?.setsockopt(descriptor, 0, 8, new Uint8Array(4), 4)).toBe(0);
}

/** A client of Node's, and what it has received. */
async function peer(address: string): Promise<{ socket: Socket; port: number; got: { text: string; from: string }[] }> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  onTestFinished(() => void socket.close());
  socket.bind(0, address);
  await once(socket, 'listening');
  const got: { text: string; from: string }[] = [];
  socket.on('message', (bytes, from) =>
    got.push({ text: bytes.toString('latin1'), from: `${from.address} ${from.port}` }),
  );
  return { socket, port: socket.address().port, got };
}

async function sent(socket: Socket, bytes: Uint8Array | string, port: number, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    socket.send(bytes, port, address, (error) => (error === null ? resolve() : reject(error))),
  );
}

describe('a batch', () => {
  it.each([
    ['0.0.0.0', '127.0.0.1', '127.0.0.5'],
    ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['::', '::1', '::1'],
  ])('on %s tells who sent from %s to %s, and replies from there', async (bound, from, to) => {
    const { descriptor, port } = open(bound);
    const client = await peer(from);
    await sent(client.socket, 'hello', port, to);
    expect(batch.receive(descriptor)).toBe(1);
    expect(String(batch.request(0))).toBe('hello');
    expect([formatIp(batch.source(0)), batch.port(0)]).toEqual([from, client.port]);
    expect(batch.destination(0)).toEqual(parseIp(to));
    expect(batch.isUnicast(0)).toBe(true);
    expect(batch.reply(0, Buffer.from('back'))).toBe(true);
    batch.send(descriptor, () => expect.unreachable());
    await until(() => client.got.length === 1, 'the reply');
    expect(client.got).toEqual([{ text: 'back', from: `${to} ${port}` }]);
  });

  it.each([
    ['0.0.0.0', '127.0.0.1', '127.0.0.5'],
    ['::', '::1', '::1'],
  ])('on %s replies to %s later from %s, when it has received others', async (bound, from, to) => {
    const { descriptor, port } = open(bound);
    const [first, second] = [await peer(from), await peer(from)];
    await sent(first.socket, 'first', port, to);
    expect(batch.receive(descriptor)).toBe(1);
    const path = batch.returnPath(0);
    await sent(second.socket, 'second', port, to);
    expect(batch.receive(descriptor)).toBe(1);
    expect(batch.reply(0, Buffer.from('now'))).toBe(true);
    expect(batch.replyLater(path, Buffer.from('later'))).toBe(true);
    batch.send(descriptor, () => expect.unreachable());
    await until(() => first.got.length + second.got.length === 2, 'the replies');
    expect(first.got).toEqual([{ text: 'later', from: `${to} ${port}` }]);
    expect(second.got).toEqual([{ text: 'now', from: `${to} ${port}` }]);
  });

  it('knows no return path of a datagram that is not there, and takes none of another kind', async () => {
    const { descriptor, port } = open('127.0.0.1');
    const client = await peer('127.0.0.1');
    await sent(client.socket, 'one', port, '127.0.0.1');
    expect(batch.receive(descriptor)).toBe(1);
    for (const index of [1, -1, 0.5]) expect(() => batch.returnPath(index)).toThrow(RangeError);
    const path = batch.returnPath(0);
    for (const odd of [{ name: new Uint8Array(33) }, { control: new Uint8Array(65) }])
      expect(() => batch.replyLater({ ...path, ...odd }, Buffer.from('x'))).toThrow(RangeError);
    let queued = 0;
    while (batch.replyLater(path, Buffer.from('x'))) queued += 1;
    expect(queued).toBe(DatagramBatch.capacity);
  });

  it('tells a broadcast from a datagram for us', async () => {
    const { descriptor, port } = open('0.0.0.0');
    const client = await peer('127.0.0.1');
    client.socket.setBroadcast(true);
    await sent(client.socket, 'everyone', port, '127.255.255.255');
    await sent(client.socket, 'you', port, '127.0.0.1');
    expect(batch.receive(descriptor)).toBe(2);
    expect([batch.isUnicast(0), batch.isUnicast(1)]).toEqual([false, true]);
  });

  it('answers what arrived before the socket told destinations, unless it was certainly not for us alone', async () => {
    const { descriptor, port } = open('0.0.0.0');
    forgetDestinations(descriptor);
    const client = await peer('127.0.0.1');
    await sent(client.socket, 'early', port, '127.0.0.5');
    tellDestinations(descriptor, 'ipv4');
    expect(batch.receive(descriptor)).toBe(1);
    expect(batch.isUnicast(0)).toBe(true);
    expect(batch.reply(0, Buffer.from('back'))).toBe(true);
    batch.send(descriptor, () => expect.unreachable());
    await until(() => client.got.length === 1, 'the reply');
    expect(client.got[0]?.from).toBe(`127.0.0.5 ${port}`);
  });

  it('returns 0 when there is nothing, and for a descriptor that is no socket', () => {
    const { descriptor } = open('127.0.0.1');
    expect([batch.receive(descriptor), batch.receive(999_999), batch.receive(-1)]).toEqual([0, 0, 0]);
  });

  it('receives as many as fit, in order, and the rest next', async () => {
    const { descriptor, port } = open('127.0.0.1');
    const client = await peer('127.0.0.1');
    const total = DatagramBatch.capacity + 10;
    for (let index = 0; index < total; index += 1) await sent(client.socket, `number ${index}`, port, '127.0.0.1');
    const texts: string[] = [];
    for (const expected of [DatagramBatch.capacity, 10, 0]) {
      const count = batch.receive(descriptor);
      expect(count).toBe(expected);
      for (let index = 0; index < count; index += 1) texts.push(String(batch.request(index)));
    }
    expect(texts).toEqual(Array.from({ length: total }, (_, index) => `number ${index}`));
  });

  it.each([0, 1, 1472, 65_507])('carries %i bytes both ways', async (size) => {
    const { descriptor, port } = open('127.0.0.1');
    const client = await peer('127.0.0.1');
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    await sent(client.socket, bytes, port, '127.0.0.1');
    expect(batch.receive(descriptor)).toBe(1);
    expect(batch.request(0).equals(bytes)).toBe(true);
    expect(batch.reply(0, batch.request(0))).toBe(true);
    batch.send(descriptor, () => expect.unreachable());
    await until(() => client.got.length === 1, 'the reply');
    expect(client.got[0]?.text).toBe(bytes.toString('latin1'));
  });

  it('has room for a bounded number of replies', async () => {
    const { descriptor, port } = open('127.0.0.1');
    const client = await peer('127.0.0.1');
    await sent(client.socket, 'many', port, '127.0.0.1');
    batch.receive(descriptor);
    let queued = 0;
    while (batch.reply(0, Buffer.from(`reply ${queued}`))) queued += 1;
    expect(queued).toBe(DatagramBatch.capacity);
    batch.send(descriptor, () => expect.unreachable());
    await until(() => client.got.length === queued, 'the replies');
    expect(client.got.map(({ text }) => text)).toEqual(Array.from({ length: queued }, (_, index) => `reply ${index}`));
    let large = 0;
    while (batch.reply(0, Buffer.alloc(65_507))) large += 1;
    expect(large).toBe(16);
    batch.send(descriptor, () => {});
  });

  it('names the replies that the kernel refuses, and sends the others', async () => {
    const { descriptor, port } = open('127.0.0.1');
    const client = await peer('127.0.0.1');
    for (const text of ['one', 'two', 'three']) await sent(client.socket, text, port, '127.0.0.1');
    batch.receive(descriptor);
    // Larger than any IPv4 datagram: EMSGSIZE.
    for (const [index, bytes] of [Buffer.alloc(65_520), Buffer.from('2'), Buffer.alloc(65_521)].entries())
      expect(batch.reply(index, bytes)).toBe(true);
    const refused: (readonly [number, number])[] = [];
    batch.send(descriptor, (index, length) => refused.push([index, length]));
    expect(refused).toEqual([
      [0, 65_520],
      [2, 65_521],
    ]);
    await until(() => client.got.length === 1, 'the reply');
    expect(client.got[0]?.text).toBe('2');
  });
});

it('readDroppedDatagrams counts what the receive buffer has no room for', async () => {
  const { descriptor, port } = open('127.0.0.1', 1);
  const client = await peer('127.0.0.1');
  expect(readDroppedDatagrams(descriptor)).toBe(0);
  for (let index = 0; index < 20; index += 1) await sent(client.socket, Buffer.alloc(1000), port, '127.0.0.1');
  let received = 0;
  for (let count = batch.receive(descriptor); count > 0; count = batch.receive(descriptor)) received += count;
  expect(received).toBeLessThan(20);
  expect(readDroppedDatagrams(descriptor)).toBe(20 - received);
  expect(readDroppedDatagrams(999_999)).toBe(0);
});
