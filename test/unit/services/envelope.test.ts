import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Service } from '../../../src/service.ts';
import { createEnvelope, envelope, type EnvelopeOptions } from '../../../src/services/envelope.ts';
import { FakeClient, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

const environment = { NAMESPACE: 'lab', SERVICE_NAME: 'echo', POD_NAME: 'echo-1', PATH: '/bin' };

function service(options: Partial<EnvelopeOptions> = {}, around: typeof environment | object = environment): Service {
  return createEnvelope({ fields: [], onConnect: false, ...options }, new FakeContext(), { ...around }, 'node-7');
}

interface Line {
  readonly request?: string;
  readonly requestBase64?: string;
  readonly sequence?: number;
}

function linesOf(client: FakeClient): readonly Line[] {
  const lines = client.bytes.toString().split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Line);
}

/** The bytes of a request as an envelope tells them. */
function requestOf({ request = '', requestBase64 }: Line): Buffer {
  return requestBase64 === undefined ? Buffer.from(request) : Buffer.from(requestBase64, 'base64');
}

/** Sends chunks, no faster than the service wants them, and takes all answers. */
function converse(connection: FakeConnection, chunks: readonly Uint8Array[]): FakeClient {
  const { client } = connection;
  const settle = (): void => {
    for (let before = -1; before !== client.writes.length; ) {
      before = client.writes.length;
      if (!client.ended) connection.drain();
    }
    expect(client.paused).toBe(false);
  };
  for (const chunk of chunks) {
    connection.send(chunk);
    settle();
  }
  connection.finish();
  settle();
  expect(client.ended).toBe(true);
  return client;
}

describe('to stream clients', () => {
  it('answers each line with a line that has every field, in order', () => {
    const client = converse(new FakeConnection(service()), [Buffer.from('one\r\ntwo\n')]);
    const [first, second] = linesOf(client);
    expect(Object.entries(first ?? {})).toEqual([
      ['request', 'one\r\n'],
      ['namespace', 'lab'],
      ['ingress', ''],
      ['service', 'echo'],
      ['pod', 'echo-1'],
      ['host', 'node-7'],
      ['listener', 'tcp://0.0.0.0:13'],
      ['transport', 'tcp'],
      ['local', '198.51.100.1:13'],
      ['peer', '192.0.2.1:40000'],
      ['via', []],
      ['tls', null],
      ['receivedAt', '2026-11-22T11:07:12.000000Z'],
      ['ttl', null],
      ['dscp', null],
      ['connection', 1],
      ['sequence', 1],
    ]);
    expect(second).toMatchObject({ request: 'two\n', connection: 1, sequence: 2 });
  });

  it('numbers connections, and names proxies and UNIX clients', () => {
    const subject = service({ onConnect: true });
    const proxied = new FakeClient();
    proxied.via = '10.0.0.1:5000';
    const local = new FakeClient({ family: 'unix', address: '', port: 0 });
    const [one, two] = [proxied, local].map((client) => linesOf(new FakeConnection(subject, client).client));
    expect(one).toEqual([expect.objectContaining({ request: '', via: ['10.0.0.1:5000'], connection: 1, sequence: 1 })]);
    expect(two).toEqual([expect.objectContaining({ transport: 'unix', peer: 'unix', connection: 2, sequence: 1 })]);
  });

  it('answers an unfinished line when the client has finished, and says nothing to one that sends nothing', () => {
    expect(linesOf(converse(new FakeConnection(service()), [Buffer.from('half')]))).toEqual([
      expect.objectContaining({ request: 'half' }),
    ]);
    expect(converse(new FakeConnection(service()), []).writes).toEqual([]);
  });

  it('answers a line of more than 1 KiB in pieces, without holding more', () => {
    const lines = linesOf(converse(new FakeConnection(service()), [Buffer.from(`${'x'.repeat(2500)}\n`)]));
    expect(lines.map((line) => requestOf(line).length)).toEqual([1024, 1024, 453]);
  });

  it('waits for a client that asks more than it takes, and lets others have their turn', () => {
    const connection = new FakeConnection(service());
    connection.send('\n'.repeat(1000));
    for (let turn = 1; turn <= 10; turn += 1) {
      expect([connection.client.paused, connection.client.writes.length]).toEqual([true, turn]);
      expect(linesOf(connection.client)).toHaveLength(16 * turn);
      connection.drain();
    }
  });

  it('answers every byte once, in order, whatever is sent in whatever pieces', () => {
    const byte = fc.oneof(fc.constant(0x0a), fc.nat(255));
    const chunk = fc.array(byte, { maxLength: 400 }).map((bytes) => Uint8Array.from(bytes));
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), (chunks) => {
        const lines = linesOf(converse(new FakeConnection(service()), chunks));
        const requests = lines.map(requestOf);
        expect(Buffer.concat(requests)).toEqual(Buffer.concat(chunks));
        expect(lines.map(({ sequence }) => sequence)).toEqual(lines.map((_, index) => index + 1));
        for (const request of requests.slice(0, -1)) expect(request.indexOf(0x0a)).toBe(request.length - 1);
      }),
    );
  });
});

describe('to datagrams', () => {
  it('tells where each came from, when it arrived to the microsecond, its TTL and its DSCP', () => {
    const subject = service();
    expect(subject.readsHeaders).toBe(true);
    const from = {
      ...nowhere,
      peer: { family: 'ipv6', address: 'fe80::1%eth0', port: 40_000 },
      local: { family: 'ipv6', address: '2001:db8::1', port: 8080 },
      receivedAtUs: 1_795_345_632_123_456,
      ttl: 33,
      dscp: 46,
    } as const;
    const answer = subject.datagram?.(Buffer.from([0xff, 0x0a]), 100, from) as Buffer;
    expect(JSON.parse(answer.toString())).toMatchObject({
      requestBase64: '/wo=',
      transport: 'udp',
      local: '[2001:db8::1]:8080',
      peer: '[fe80::1%eth0]:40000',
      receivedAt: '2026-11-22T11:07:12.123456Z',
      ttl: 33,
      dscp: 46,
      connection: null,
      sequence: 1,
    });
    const next = subject.datagram?.(Buffer.alloc(0), 100, from) as Buffer;
    expect(JSON.parse(next.toString())).toMatchObject({ request: '', sequence: 2 });
  });

  it('has no TTL and DSCP where the system does not tell', () => {
    const answer = service().datagram?.(Buffer.alloc(0), 100, {
      ...nowhere,
      ttl: undefined,
      dscp: undefined,
    }) as Buffer;
    expect(JSON.parse(answer.toString())).toMatchObject({ ttl: null, dscp: null });
  });
});

describe('its options', () => {
  it('fields chooses what is told, in the order of the protocol', () => {
    const subject = service({ fields: ['peer', 'pod', 'request'] });
    const answer = subject.datagram?.(Buffer.from('x'), 100, nowhere) as Buffer;
    expect(answer.toString()).toMatch(/^\{"request":"x","pod":"echo-1","peer":"[^"]+"\}\n$/);
  });

  it('refuse a field that does not exist', () => {
    expect(() => service({ fields: ['host', 'toString'] })).toThrowError(
      expect.objectContaining({
        option: 'fields',
        message: expect.stringMatching(/^unknown field "toString": expected/),
      }),
    );
  });

  it('are those of the module, which names its hazard over UDP', () => {
    expect(Object.keys(envelope.options)).toEqual(['fields', 'onConnect']);
    expect(envelope.udpHazard).toMatch(/forged source/);
  });

  it('take the empty text for what the environment does not set', () => {
    const answer = service({ fields: ['namespace', 'ingress', 'service', 'pod'] }, {}).datagram?.(
      Buffer.alloc(0),
      100,
      nowhere,
    ) as Buffer;
    expect(answer.toString()).toBe('{"namespace":"","ingress":"","service":"","pod":""}\n');
  });
});
