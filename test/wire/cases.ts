import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { readClock } from '../../src/kernel/system-clock.ts';
import { type TestDaemon, tellsHeaders } from '../support/daemon.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';

/** What a case talks over: a daemon that serves the case's service over all that it answers, and echo beside it. */
interface Wire {
  readonly daemon: TestDaemon;
  /** A loopback address of the family under test. */
  readonly host: string;
  readonly connect: (options?: { reads: boolean }) => Promise<TcpClient>;
  readonly open: () => Promise<UdpClient>;
  readonly udp: { readonly host: string; readonly port: number };
  readonly echoUdp: { readonly host: string; readonly port: number };
}

export interface WireCase {
  /** The kind of service; each of src/services/index.ts is here, over the transports that it answers. */
  readonly service: string;
  /** One sentence of what the protocol demands. */
  readonly rule: string;
  /** The service's keys but for `listen`. */
  readonly config?: object;
  /** What the wall clock says; 2026-11-22T11:07:12Z unless given. `real`: what it really says. */
  readonly now?: string;
  readonly talk: (wire: Wire) => Promise<void>;
}

const quotationFile = fileURLToPath(new URL('quotation.txt', import.meta.url));
const quotation = 'An echo is the only answer that is never wrong.\r\n';
const megabytes = Buffer.alloc(4 * 1024 * 1024, 'unread ');
const utc = { zone: 'UTC' };
const planDirectory = fileURLToPath(new URL('plans', import.meta.url));
const everyPlan = { show: 'plans', plans: planDirectory };
const plan = 'Login: ada\r\nPlan:\r\nOn holiday.\r\n';

/** Every way to write 2026-11-22T11:07:12Z, in the order of docs/CONFIG.md. */
const daytimeLines: readonly (readonly [format: string, line: string])[] = [
  ['rfc867', 'Sunday, November 22, 2026 11:07:12-UTC\r\n'],
  ['smtp', '22 NOV 26 11:07:12 UTC\r\n'],
  ['ctime', 'Sun Nov 22 11:07:12 2026\r\n'],
  ['unix', 'Sun Nov 22 11:07:12 UTC 2026\r\n'],
  ['iso8601', '2026-11-22T11:07:12+00:00\r\n'],
  ['nist', `61366 26-11-22 11:07:12 00 0 ${readClock()?.isSynchronized === true ? 0 : 3}   0.0 UTC(smallservd) *\r\n`],
];

/** 2026-11-22T11:07:12Z is 1,795,345,632 seconds after 1970. */
const timeWord = Buffer.from([0xee, 0xad, 0x4b, 0x60]);

/** Of STAMP: number 7, a time, an error estimate, and the session identifier 4660. */
const testPacket = Buffer.concat([Buffer.from('00000007eead4b5f8000000090011234', 'hex'), Buffer.alloc(28)]);

/** A time in NTP's format, in microseconds since 1900. */
function ntpTime(packet: Buffer, at: number): number {
  return packet.readUInt32BE(at) * 1e6 + Math.floor((packet.readUInt32BE(at + 4) / 2 ** 32) * 1e6);
}

/** The services that send one fixed answer and close, and that answer. */
const answers: readonly { service: string; config: object; answer: Buffer | string }[] = [
  ...daytimeLines.map(([format, answer]) => ({ service: 'daytime', config: { ...utc, format }, answer })),
  { service: 'time', config: {}, answer: timeWord },
  { service: 'qotd', config: { file: quotationFile }, answer: quotation },
  { service: 'systat', config: { show: 'text', text: 'nobody\nis here' }, answer: 'nobody\r\nis here\r\n' },
];

/** A byte of chargen's stream, from the words of RFC 864. */
export function chargenByte(position: number): number {
  const line = Math.floor(position / 74);
  const column = position % 74;
  if (column === 72) return 0x0d;
  return column === 73 ? 0x0a : 0x20 + ((line + column) % 95);
}

function chargenBytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, position) => chargenByte(position)));
}

/** Telnet commands: interrupt process, data mark, do timing mark. */
const telnetCommands = Buffer.from([0xff, 0xf4, 0xff, 0xf2, 0xff, 0xfd, 0x06]);
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

export const streamCases: readonly WireCase[] = [
  ...answers.flatMap(({ service, config, answer }): WireCase[] => {
    const named = JSON.stringify(answer.toString('latin1'));
    const bytes = Buffer.from(answer);
    return [
      {
        service,
        config,
        rule: `sends exactly ${named}, then closes`,
        async talk({ connect }) {
          const client = await connect();
          expect(await client.takeAll()).toEqual(bytes);
          client.finish();
          await client.gone();
          expect(client.error).toBeUndefined();
        },
      },
      {
        service,
        config,
        rule: `sends everything after a FIN: ${named}`,
        async talk({ connect }) {
          const client = await connect({ reads: false });
          client.finish('ignored');
          client.read();
          expect(await client.takeAll()).toEqual(bytes);
        },
      },
    ];
  }),
  ...['daytime', 'time', 'qotd', 'systat'].map((service): WireCase => {
    const first = answers.find((each) => each.service === service);
    return {
      service,
      config: first?.config ?? {},
      rule: 'discards megabytes of input and still answers without a reset',
      async talk({ daemon, connect }) {
        const client = await connect({ reads: false });
        client.finish(megabytes);
        client.read();
        expect(await client.takeAll()).toEqual(Buffer.from(first?.answer ?? ''));
        await client.gone();
        expect(client.error).toBeUndefined();
        const line = await daemon.log.closing(client.name);
        expect(line).toMatchObject({ reason: 'completed', bytesIn: megabytes.length });
      },
    };
  }),
  {
    service: 'echo',
    rule: 'returns every byte in order, telnet commands included',
    async talk({ connect }) {
      const client = await connect();
      const sent = Buffer.concat([Buffer.from('telnet\r\n'), telnetCommands, everyByte]);
      for (const byte of sent) client.write(Uint8Array.of(byte));
      expect(await client.take(sent.length)).toEqual(sent);
    },
  },
  {
    service: 'echo',
    rule: 'flushes the rest after a FIN, then sends FIN',
    async talk({ daemon, connect }) {
      const client = await connect({ reads: false });
      client.finish(megabytes);
      client.read();
      expect((await client.takeAll()).equals(megabytes)).toBe(true);
      const { length } = megabytes;
      const line = await daemon.log.closing(client.name);
      expect(line).toMatchObject({ reason: 'completed', bytesIn: length, bytesOut: length });
    },
  },
  {
    service: 'echo',
    rule: 'answers a FIN without data with a FIN without data',
    async talk({ connect }) {
      const client = await connect();
      client.finish();
      expect(await client.takeAll()).toEqual(Buffer.alloc(0));
      await client.gone();
      expect(client.error).toBeUndefined();
    },
  },
  {
    service: 'echo',
    rule: 'keeps serving other clients after a client resets',
    async talk({ daemon, connect }) {
      const steady = await connect();
      for (let turn = 1; turn <= 10; turn += 1) {
        const other = await connect();
        other.write('x');
        other.abort();
        const line = await daemon.log.closing(other.name);
        expect(line['reason']).toBe('client-reset');
        steady.write('still here ');
        await steady.take(11 * turn);
      }
      expect(steady.text).toBe('still here '.repeat(10));
    },
  },
  {
    service: 'discard',
    rule: 'discards all input, closes after a FIN and logs the byte count',
    async talk({ daemon, connect }) {
      const client = await connect();
      client.write(telnetCommands);
      client.finish(megabytes);
      expect(await client.takeAll()).toEqual(Buffer.alloc(0));
      await client.gone();
      expect(client.error).toBeUndefined();
      const bytesIn = telnetCommands.length + megabytes.length;
      const line = await daemon.log.closing(client.name);
      expect(line).toMatchObject({ reason: 'completed', bytesIn, bytesOut: 0 });
    },
  },
  {
    service: 'chargen',
    rule: 'continues the pattern seamlessly over more than 95 lines and many reads',
    async talk({ connect }) {
      const client = await connect();
      const length = 200_000;
      const bytes = await client.take(length);
      expect(bytes.subarray(0, length).equals(chargenBytes(length))).toBe(true);
    },
  },
  {
    service: 'chargen',
    rule: 'starts each connection at line 0',
    async talk({ connect }) {
      for (let turn = 0; turn < 3; turn += 1) {
        const client = await connect();
        await client.take(74);
        expect(client.text.slice(0, 74)).toBe(
          ' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n',
        );
      }
    },
  },
  {
    service: 'chargen',
    rule: 'ignores input and keeps sending after a FIN',
    async talk({ daemon, connect }) {
      const client = await connect();
      client.finish('stop\r\n');
      await client.take(74);
      // More than all buffers between us could have held before the FIN was read.
      await client.take(client.length + 32 * 1024 * 1024);
      expect(client.ended).toBe(false);
      expect(daemon.log.closed()).toEqual([]);
    },
  },
  {
    service: 'chargen',
    rule: 'treats an aborting client as normal, with reason client-reset and no error logged',
    async talk({ daemon, connect }) {
      const steady = await connect();
      const aborting = await connect();
      await aborting.take(7030);
      aborting.abort();
      const line = await daemon.log.closing(aborting.name);
      expect(line).toMatchObject({ level: 'info', reason: 'client-reset', service: 'chargen' });
      await steady.take(steady.length + 1024 * 1024);
      expect(daemon.log.lines.filter(({ level }) => level !== 'info')).toEqual([]);
    },
  },
  {
    service: 'qotd',
    rule: 'sends one quotation of fewer than 512 characters of printable ASCII, space, CR and LF',
    async talk({ connect }) {
      const client = await connect();
      const bytes = await client.takeAll();
      expect(bytes.length).toBeGreaterThan(2);
      expect(bytes.length).toBeLessThan(512);
      expect(bytes.toString('latin1')).toMatch(/^[ -~\r\n]+\r\n$/);
    },
  },
  {
    service: 'systat',
    rule: 'shows the number of users by default',
    async talk({ connect }) {
      const client = await connect();
      expect((await client.takeAll()).toString('latin1')).toMatch(/^\d+ users\r\n$/);
    },
  },
  {
    service: 'time',
    rule: 'wraps on 2036-02-07 06:28:16 UTC',
    now: '2036-02-07T06:28:16Z',
    async talk({ connect }) {
      const client = await connect();
      expect(await client.takeAll()).toEqual(Buffer.alloc(4));
    },
  },
  {
    service: 'time',
    rule: 'sends all ones in the last second before it wraps',
    now: '2036-02-07T06:28:15.999Z',
    async talk({ connect }) {
      const client = await connect();
      expect(await client.takeAll()).toEqual(Buffer.alloc(4, 0xff));
    },
  },
  {
    service: 'time',
    rule: 'closes without data if the clock is before the release date of the build',
    now: '1970-01-01T00:00:00Z',
    async talk({ connect }) {
      const client = await connect();
      expect(await client.takeAll()).toEqual(Buffer.alloc(0));
      client.finish();
      await client.gone();
      expect(client.error).toBeUndefined();
    },
  },
  {
    service: 'envelope',
    rule: 'answers each line, and what is left at a FIN, with who asked whom, then closes',
    async talk({ daemon, host, connect }) {
      const client = await connect();
      client.finish('one\r\ntwo\nthree');
      const lines = (await client.takeAll()).toString().split('\n');
      expect(lines.pop()).toBe('');
      const { port } = daemon.target('envelope', 'tcp', host);
      const local = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
        ['one\r\n', 'two\n', 'three'].map((request, index) =>
          expect.objectContaining({
            request,
            transport: 'tcp',
            listener: `tcp://${local}`,
            local,
            peer: client.name,
            via: [],
            sequence: index + 1,
          }),
        ),
      );
    },
  },
  {
    service: 'envelope',
    rule: 'answers every line of megabytes sent at once, in order, to a client that reads late',
    config: { fields: ['sequence'] },
    async talk({ connect }) {
      const client = await connect({ reads: false });
      const count = 50_000;
      client.finish('\n'.repeat(count));
      client.read();
      const lines = (await client.takeAll()).toString().split('\n');
      expect(lines).toHaveLength(count + 1);
      expect(lines.every((line, index) => line === (index === count ? '' : `{"sequence":${index + 1}}`))).toBe(true);
    },
  },
  {
    service: 'envelope',
    rule: 'says who answers before anything is asked, if onConnect says so',
    config: { onConnect: true, fields: ['request', 'transport', 'sequence'] },
    async talk({ connect }) {
      const client = await connect();
      const first = '{"request":"","transport":"tcp","sequence":1}\n';
      expect((await client.take(first.length)).toString()).toBe(first);
    },
  },
  ...[
    { service: 'tcpmux', config: { services: ['echo-beside'] }, query: 'HELP\r\n', answer: 'echo-beside\r\n' },
    { service: 'tcpmux', config: {}, query: 'echo-beside\r\n', answer: '-No such service\r\n' },
    { service: 'finger', config: {}, query: '\r\n', answer: 'Finger online user list denied\r\n' },
    { service: 'finger', config: everyPlan, query: '\r\n', answer: 'ada\r\n' },
    { service: 'finger', config: everyPlan, query: '/W\r\n', answer: 'ada: On holiday.\r\n' },
    { service: 'finger', config: everyPlan, query: 'ada\n', answer: plan },
    { service: 'finger', config: everyPlan, query: '/W ada\r\n', answer: plan },
    { service: 'finger', config: everyPlan, query: '../plans/ada\r\n', answer: 'No such user\r\n' },
    { service: 'finger', config: everyPlan, query: 'ada@::1\r\n', answer: 'Finger forwarding service denied\r\n' },
  ].flatMap(({ service, config, query, answer }): WireCase[] => [
    {
      service,
      config,
      rule: `answers ${JSON.stringify(query)} with exactly ${JSON.stringify(answer)}, then closes, despite more input`,
      async talk({ connect }) {
        const client = await connect();
        client.write(query);
        client.write('unread input\r\n');
        expect((await client.takeAll()).toString('latin1')).toBe(answer);
        client.finish();
        await client.gone();
        expect(client.error).toBeUndefined();
      },
    },
    {
      service,
      config,
      rule: `answers ${JSON.stringify(query)}, byte by byte and with a FIN right behind it`,
      async talk({ connect }) {
        const client = await connect({ reads: false });
        client.socket.setNoDelay();
        for (const byte of Buffer.from(query)) client.write(Uint8Array.of(byte));
        client.finish();
        client.read();
        expect((await client.takeAll()).toString('latin1')).toBe(answer);
      },
    },
  ]),
  {
    service: 'tcpmux',
    config: { services: ['echo-beside'] },
    rule: 'hands a client to another service, with the bytes behind its name',
    async talk({ daemon, connect }) {
      const client = await connect();
      client.write('ECHO-beside\r\nhello ');
      expect((await client.take(9)).toString()).toBe('+\r\nhello ');
      client.finish(megabytes);
      const expected = Buffer.concat([Buffer.from('+\r\nhello '), megabytes]);
      expect((await client.takeAll()).equals(expected)).toBe(true);
      await client.gone();
      const line = await daemon.log.closing(client.name);
      expect(line).toMatchObject({ service: 'tcpmux', reason: 'completed', bytesOut: expected.length });
    },
  },
  {
    service: 'tcpmux',
    config: { nameTimeout: '100ms' },
    rule: 'refuses a client that does not name a service in time',
    async talk({ connect }) {
      const client = await connect();
      client.write('echo-besid');
      expect((await client.takeAll()).toString()).toBe('-No service name\r\n');
    },
  },
  ...[
    { config: {}, reply: 'ERROR : HIDDEN-USER' },
    { config: { answer: 'token', token: 'nobody' }, reply: 'USERID : UNIX : nobody' },
  ].map(
    ({ config, reply }): WireCase => ({
      service: 'ident',
      config,
      rule: `answers several requests with ${reply}, split or not, then closes after a FIN`,
      async talk({ connect }) {
        const client = await connect();
        client.socket.setNoDelay();
        for (const byte of '6193, 23\r\n') client.write(byte);
        await client.take(`6193 , 23 : ${reply}\r\n`.length);
        client.finish('1,65535\n0 , 1\r\n');
        const expected = `6193 , 23 : ${reply}\r\n1 , 65535 : ${reply}\r\n0 , 1 : ERROR : INVALID-PORT\r\n`;
        expect((await client.takeAll()).toString('latin1')).toBe(expected);
        await client.gone();
        expect(client.error).toBeUndefined();
      },
    }),
  ),
  {
    service: 'ident',
    config: { answer: 'hash', keyFile: quotationFile },
    rule: 'gives the hash of the user that holds the connection, and NO-USER for one that does not exist',
    async talk({ connect }) {
      const client = await connect();
      const { localPort, remotePort } = client.socket;
      client.finish(`${remotePort} , ${localPort}\r\n1 , 1\r\n`);
      const text = (await client.takeAll()).toString('latin1');
      expect(text).toMatch(
        new RegExp(`^${remotePort} , ${localPort} : USERID : UNIX : [0-9a-f]{32}\r\n1 , 1 : ERROR : NO-USER\r\n$`),
      );
    },
  },
  {
    service: 'ident',
    rule: 'closes after what is not a request, despite megabytes of input',
    async talk({ connect }) {
      const client = await connect({ reads: false });
      client.finish(megabytes);
      client.read();
      expect((await client.takeAll()).toString()).toBe('0 , 0 : ERROR : INVALID-PORT\r\n');
      await client.gone();
      expect(client.error).toBeUndefined();
    },
  },
];

export const datagramCases: readonly WireCase[] = [
  {
    service: 'envelope',
    rule: 'answers each datagram with who asked whom, within maxAmplification',
    config: { maxAmplification: 50 },
    async talk({ host, open, udp }) {
      const client = await open();
      const name = host.includes(':') ? `[${host}]` : host;
      for (const [index, request] of ['one', 'two\n'].entries())
        expect(JSON.parse((await client.ask(request, udp)).toString())).toMatchObject({
          request,
          transport: 'udp',
          local: `${name}:${udp.port}`,
          peer: `${name}:${client.port}`,
          connection: null,
          sequence: index + 1,
        });
    },
  },
  {
    service: 'envelope',
    rule: 'is silent where its answer would amplify',
    async talk({ open, udp }) {
      const client = await open();
      client.send('x', udp);
      const answer = await client.ask('y'.repeat(600), udp);
      expect(JSON.parse(answer.toString())).toMatchObject({ request: 'y'.repeat(600), sequence: 2 });
      expect(client.replies).toHaveLength(1);
    },
  },
  ...answers.flatMap(({ service, config, answer }): WireCase[] =>
    ['', 'anything'].map((request) => ({
      service,
      config,
      rule: `answers ${request === '' ? 'an empty' : 'any'} datagram with ${JSON.stringify(answer.toString('latin1'))}`,
      async talk({ open, udp }) {
        const client = await open();
        expect(await client.ask(request, udp)).toEqual(Buffer.from(answer));
      },
    })),
  ),
  ...['daytime', 'time', 'qotd', 'systat', 'echo'].map((service): WireCase => {
    const first = answers.find((each) => each.service === service);
    return {
      service,
      config: first?.config ?? {},
      rule: 'answers each of 30 datagrams in a burst from the socket that received it',
      async talk({ open, udp }) {
        const client = await open();
        for (let number = 0; number < 30; number += 1) client.send(`request ${number}`, udp);
        await client.take(30);
        const expected = Array.from({ length: 30 }, (_, number) => ({
          bytes: Buffer.from(first?.answer ?? `request ${number}`),
          from: udp,
        }));
        expect(client.replies).toEqual(expected);
      },
    };
  }),
  ...[0, 1, 512, 1472, 8192, 65_507].map((length): WireCase => {
    const request = Buffer.alloc(length, Buffer.concat([everyByte, telnetCommands]));
    return {
      service: 'echo',
      rule: `returns ${length} bytes unchanged`,
      async talk({ open, udp }) {
        const client = await open();
        const reply = await client.ask(request, udp);
        expect(reply.equals(request)).toBe(true);
      },
    };
  }),
  {
    service: 'echo',
    rule: 'answers each datagram with one datagram, to its sender only',
    async talk({ open, udp }) {
      const clients = await Promise.all(Array.from({ length: 5 }, open));
      const names = clients.map((_client, index) => `client ${index}`);
      for (let turn = 0; turn < 3; turn += 1) {
        clients.forEach((client, index) => client.send(`${names[index]}`, udp));
      }
      const all = await Promise.all(clients.map((client) => client.take(3)));
      expect(all.map((replies) => replies.map(String))).toEqual(names.map((name) => [name, name, name]));
    },
  },
  {
    service: 'discard',
    rule: 'never answers, regardless of the size',
    async talk({ open, udp, echoUdp }) {
      const client = await open();
      // What echo answers shows that the datagram before it has been read: twice, as both sockets may be ready at once.
      for (const turn of ['first', 'second']) {
        for (const length of [0, 1, 512, 65_507]) client.send(Buffer.alloc(length), udp);
        expect((await client.ask(turn, echoUdp)).toString()).toBe(turn);
      }
      expect(client.replies.map(({ from }) => from)).toEqual([echoUdp, echoUdp]);
    },
  },
  {
    service: 'chargen',
    rule: 'answers each request with one datagram of 0 to 512 bytes, never larger than the request',
    async talk({ open, udp }) {
      const client = await open();
      const lengths = [64, 512, 1472, 8192];
      for (const length of lengths) {
        for (let turn = 0; turn < 20; turn += 1) {
          const reply = await client.ask(Buffer.alloc(length), udp);
          expect(reply.length).toBeLessThanOrEqual(Math.min(512, length));
          expect(reply.equals(chargenBytes(reply.length))).toBe(true);
        }
      }
      expect(client.replies).toHaveLength(20 * lengths.length);
    },
  },
  {
    service: 'chargen',
    rule: 'picks a new random length for each request',
    async talk({ open, udp }) {
      const client = await open();
      for (let turn = 0; turn < 30; turn += 1) await client.ask(Buffer.alloc(1472), udp);
      // The same length 30 times: less likely than 513 to the power of -29.
      expect(new Set(client.replies.map(({ bytes }) => bytes.length)).size).toBeGreaterThan(1);
    },
  },
  {
    service: 'chargen',
    rule: 'answers an empty request with at most 18 bytes over IPv4 and with 0 over IPv6',
    async talk({ open, udp, host }) {
      const client = await open();
      const cap = host === '127.0.0.1' ? 18 : 0;
      for (let turn = 0; turn < 20; turn += 1) expect((await client.ask('', udp)).length).toBeLessThanOrEqual(cap);
      expect(client.replies).toHaveLength(20);
    },
  },
  {
    service: 'qotd',
    rule: 'sends one quotation that fits the reply cap',
    async talk({ open, udp, host }) {
      const client = await open();
      const cap = host === '127.0.0.1' ? 102 : 86;
      for (let turn = 0; turn < 20; turn += 1) {
        const reply = await client.ask('', udp);
        expect(reply.length).toBeLessThanOrEqual(cap);
        expect(reply.toString('latin1')).toMatch(/^[ -~\r\n]+\r\n$/);
      }
    },
  },
  {
    service: 'qotd',
    rule: 'does not answer if no quotation fits the reply cap',
    config: { file: quotationFile, maxAmplification: 1 },
    async talk({ open, udp }) {
      const client = await open();
      client.send('', udp);
      expect((await client.ask(Buffer.alloc(100), udp)).toString('latin1')).toBe(quotation);
      expect(client.replies).toHaveLength(1);
    },
  },
  {
    service: 'systat',
    rule: 'splits a long answer into several datagrams at line ends',
    config: { show: 'text', text: `${'a'.repeat(300)}\n${'b'.repeat(200)}\n${'c'.repeat(300)}\n${'d'.repeat(100)}` },
    async talk({ open, udp }) {
      const client = await open();
      client.send(Buffer.alloc(1000), udp);
      const replies = await client.take(2);
      expect(replies.map(String)).toEqual([
        `${'a'.repeat(300)}\r\n${'b'.repeat(200)}\r\n`,
        `${'c'.repeat(300)}\r\n${'d'.repeat(100)}\r\n`,
      ]);
    },
  },
  {
    service: 'time',
    rule: 'does not answer if the clock is before the release date of the build',
    now: '2026-11-21T23:59:59.999Z',
    async talk({ open, udp, echoUdp }) {
      const client = await open();
      for (const turn of ['first', 'second']) {
        client.send('', udp);
        await client.ask(turn, echoUdp);
      }
      expect(client.replies.map(({ from }) => from)).toEqual([echoUdp, echoUdp]);
    },
  },
  {
    service: 'stamp',
    now: 'real',
    rule: 'reflects a base packet, with its TTL, and with times in the order in which they passed',
    async talk({ open, udp }) {
      const client = await open();
      client.socket.setTTL(33);
      const reply = await client.ask(testPacket, udp);
      expect(reply.toString('hex', 0, 4)).toBe('00000007');
      expect(reply.toString('hex', 14, 16)).toBe('1234');
      expect(reply.toString('hex', 24, 44)).toBe(
        `${testPacket.toString('hex', 0, 14)}0000${tellsHeaders() ? '21' : 'ff'}000000`,
      );
      const [arrival, departure] = [ntpTime(reply, 16), ntpTime(reply, 4)];
      expect(departure).toBeGreaterThanOrEqual(arrival);
      // Whether the clock is synchronized is the kernel's to say.
      expect(reply.readUInt8(12) >>> 7 === 1).toBe(readClock()?.isSynchronized ?? false);
      expect(reply.readUInt8(12) & 0x40).toBe(0);
      expect(reply.readUInt8(13)).toBeGreaterThan(0);
    },
  },
  {
    service: 'stamp',
    now: 'real',
    rule: 'answers TWAMP Light: 14 bytes with a base packet, and padding with padding',
    async talk({ open, udp }) {
      const client = await open();
      expect(await client.ask(testPacket.subarray(0, 14), udp)).toHaveLength(44);
      for (const length of [44, 512, 1472, 65_507]) {
        const request = Buffer.concat([testPacket, Buffer.alloc(length - 44)]);
        const reply = await client.ask(request, udp);
        expect(reply.subarray(44).equals(request.subarray(44))).toBe(true);
      }
    },
  },
  {
    service: 'stamp',
    now: 'real',
    rule: 'flags unknown TLVs and malformed ones, and answers Class of Service',
    async talk({ open, udp }) {
      const client = await open();
      const reply = await client.ask(
        Buffer.concat([testPacket, Buffer.from('80c80001ff80040004b800000080010009', 'hex')]),
        udp,
      );
      // DSCP 46 is not that of the request, which is 0: RP is 1.
      const classOfService = tellsHeaders() ? '00040004b8010000' : '80040004b8000000';
      expect(reply.toString('hex', 44)).toBe(`80c80001ff${classOfService}40010009`);
    },
  },
  {
    service: 'stamp',
    now: 'real',
    config: { mode: 'stateful' },
    rule: 'counts the replies of each sender if it is stateful',
    async talk({ open, udp }) {
      const [one, other] = [await open(), await open()];
      const numbers: number[] = [];
      for (const client of [one, one, other, one, other])
        numbers.push((await client.ask(testPacket, udp)).readUInt32BE());
      expect(numbers).toEqual([0, 1, 0, 2, 1]);
    },
  },
  {
    service: 'stamp',
    now: 'real',
    rule: 'answers each of 30 datagrams in a burst from the socket that received it',
    async talk({ open, udp }) {
      const client = await open();
      for (let number = 0; number < 30; number += 1) {
        const request = Buffer.from(testPacket);
        request.writeUInt32BE(number);
        client.send(request, udp);
      }
      const replies = await client.take(30);
      expect(replies.map((reply) => reply.readUInt32BE())).toEqual(Array.from({ length: 30 }, (_, number) => number));
      expect(client.replies.every(({ from }) => from.port === udp.port && from.host === udp.host)).toBe(true);
    },
  },
  {
    service: 'stamp',
    now: 'real',
    rule: 'does not answer what another reflector has sent, text, or fewer than 14 bytes',
    async talk({ open, udp, echoUdp }) {
      const client = await open();
      const reply = await client.ask(testPacket, udp);
      for (const turn of ['first', 'second']) {
        for (const each of [reply, 'Sunday, November 22, 2026 11:07:12-UTC\r\n', '', Buffer.alloc(13)])
          client.send(each, udp);
        await client.ask(turn, echoUdp);
      }
      expect(client.replies.slice(1).map(({ from }) => from)).toEqual([echoUdp, echoUdp]);
    },
  },
];

/** The kinds of service that have cases. */
export const covered = {
  tcp: new Set(streamCases.map(({ service }) => service)),
  udp: new Set(datagramCases.map(({ service }) => service)),
};
