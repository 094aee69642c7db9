import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { proxied } from '../support/proxy-datagram.ts';
import { until } from '../support/wait.ts';
import { type AnsweringService, datagramServices } from './answers.ts';
import { type CountedDaemon, serveCounted } from './counted-daemon.ts';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** No rate refuses, and loopback counts as any other source. */
const outOfReach = { perSecond: 1_000_000, burst: 1_000_000 };
const keys = { exempt: [], datagramRate: outOfReach, datagramServiceRate: outOfReach };

const clients = 4;

/** A datagram, and which client sends it. */
const request = fc.record({
  bytes: fc.oneof(
    { arbitrary: fc.uint8Array({ maxLength: 600 }), weight: 8 },
    {
      arbitrary: fc.tuple(fc.nat(65_507), fc.nat(255)).map(([length, byte]) => new Uint8Array(length).fill(byte)),
      weight: 1,
    },
  ),
  client: fc.nat(clients - 1),
});

/** What a datagram of so many bytes takes on an Ethernet over IPv4, with preamble and gap (RFC 2544). */
function wireBytes(length: number): number {
  return Math.max(64, length + 28 + 18) + 20;
}

test.each(datagramServices)('$service handles arbitrary datagrams', async (each) => {
  const { service, keys: ownKeys } = each;
  const daemon = await serveCounted(service, { ...keys, ...ownKeys });
  const sockets = await Promise.all(Array.from({ length: clients }, () => open()));
  const replies = (): readonly Buffer[] => sockets.flatMap((socket) => socket.replies);
  const factor = service === 'chargen' ? 1 : 2;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), async (requests) => {
      for (const socket of sockets) socket.replies.splice(0);
      const before = structuredClone(daemon.counters().datagram);
      for (const { bytes, client } of requests) sockets[client]?.send(bytes, daemon);
      await until(
        () => daemon.counters().datagram.received === before.received + requests.length,
        `${requests.length} datagrams at ${service}`,
      );
      const sent = daemon.counters().datagram.sent - before.sent;
      await until(() => replies().length >= sent, `${sent} answers of ${service}`);
      for (const [client, socket] of sockets.entries()) {
        const own = requests.filter((one) => one.client === client).map(({ bytes }) => Buffer.from(bytes));
        expectAnswers(each, own, socket.replies, factor);
      }
      const { dropped } = daemon.counters().datagram;
      expect(dropped).toEqual(before.dropped);
    }),
    { numRuns: 60 },
  );
  expect(daemon.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

/** Answers of one client, in the order of its requests: each is right, and none is larger than the request allows. */
function expectAnswers(
  { service, answers }: AnsweringService,
  requests: readonly Buffer[],
  replies: readonly Buffer[],
  factor: number,
): void {
  if (service === 'discard') expect(replies).toEqual([]);
  if (service === 'echo') expect(replies.map(hex)).toEqual(requests.map(hex));
  expect(replies.length).toBeLessThanOrEqual(requests.length);
  const largest = Math.max(0, ...requests.map(({ length }) => length));
  for (const [index, reply] of replies.entries()) {
    // All were answered: then the first answer is to the first request.
    const asked = replies.length === requests.length ? (requests[index]?.length ?? 0) : largest;
    expect(wireBytes(reply.length), `${service} answered ${asked} bytes`).toBeLessThanOrEqual(
      factor * wireBytes(asked),
    );
    if (service !== 'echo')
      expect(answers(reply, Buffer.alloc(0)), `${service}: ${reply.toString('latin1')}`).toBe(true);
  }
}

/** Datagrams of a proxy: mostly with a header that is right, or nearly so. */
const ofProxy = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc
    .record({
      client: fc.oneof(fc.ipV4(), fc.ipV6()),
      port: fc.nat(65_535),
      parts: fc.record(
        { command: fc.constantFrom(0x20, 0x21, 0x22), family: fc.nat(0x33), tlvs: fc.uint8Array({ maxLength: 300 }) },
        { requiredKeys: [] },
      ),
      payload: fc.uint8Array({ maxLength: 600 }),
      lost: fc.oneof(fc.constant(0), fc.nat(700)),
    })
    .map(({ client, port, parts, payload, lost }) => {
      const bytes = proxied(client, port, payload, parts);
      return bytes.subarray(0, Math.max(0, bytes.length - lost));
    }),
);

test('a service behind a proxy handles arbitrary datagrams', async () => {
  const daemon = await serveCounted('echo', { ...keys, proxyProtocol: { from: ['127.0.0.1'] } });
  const client = await open();
  const received = (): number => daemon.counters().datagram.received;
  const droppedOf = (): number =>
    Object.values(daemon.counters().datagram.dropped).reduce((sum, each) => sum + each, 0);
  await fc.assert(
    fc.asyncProperty(fc.array(ofProxy, { minLength: 1, maxLength: 12 }), async (datagrams) => {
      client.replies.splice(0);
      const before = received();
      const droppedBefore = droppedOf();
      for (const bytes of datagrams) client.send(bytes, daemon);
      await until(() => received() === before + datagrams.length, `${datagrams.length} datagrams`);
      const answered = datagrams.length - (droppedOf() - droppedBefore);
      await until(() => client.replies.length === answered, `${answered} answers`);
      // Each is what remains of a datagram without its header, in their order.
      let next = 0;
      for (const reply of client.replies) {
        while (next < datagrams.length && !isPayload(reply, datagrams[next])) next += 1;
        expect(next, 'an answer to no datagram').toBeLessThan(datagrams.length);
        next += 1;
      }
    }),
    { numRuns: 100 },
  );
  expect(daemon.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

/** Whether this is the end of a datagram, after a header or nothing. */
function isPayload(reply: Buffer, datagram: Uint8Array = new Uint8Array()): boolean {
  const bytes = Buffer.from(datagram);
  const start = bytes.length - reply.length;
  return (start === 0 || start >= 16) && bytes.subarray(start).equals(reply);
}

interface DatagramClient {
  readonly replies: Buffer[];
  send(bytes: Uint8Array, daemon: CountedDaemon): void;
}

async function open(): Promise<DatagramClient> {
  const socket: Socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  const replies: Buffer[] = [];
  socket.on('message', (bytes) => replies.push(bytes));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => {
    socket.close();
  });
  return { replies, send: (bytes, { udp }) => socket.send(bytes, udp.port, udp.host) };
}
