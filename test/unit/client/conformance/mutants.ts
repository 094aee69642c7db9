import type { Socket } from 'node:net';

/** What a fake server does with its clients: one function for TCP, one for UDP. */
export interface Behaviour {
  readonly tcp?: (socket: Socket) => void;
  /** The nth datagram, counted from 1, and how to answer it. */
  readonly udp?: (request: Buffer, reply: (bytes: Uint8Array | string) => void, count: number) => void;
}

export interface Mutant extends Behaviour {
  /** The check that it is made wrong for. */
  readonly id: string;
  /** What is wrong with it. */
  readonly fault: string;
  /** What the check says of it. */
  readonly says: RegExp;
  /** Whether the check finds it out by waiting in vain. */
  readonly isSilent?: true;
}

type Reply = (bytes: Uint8Array | string) => void;

/** A line of chargen over a ring of so many characters. */
function chargenLine(line: number, ring = 95, length = 72): string {
  const codes = Array.from({ length }, (_, column) => 0x20 + ((line + column) % ring));
  return `${String.fromCharCode(...codes)}\r\n`;
}

/**
 * Writes without end, as fast as the client takes it; the other servers of this process get their turn after each
 * block.
 */
function pour(socket: Socket, lineOf: (line: number) => string): void {
  let line = 0;
  const more = (): void => {
    if (socket.destroyed || !socket.writable) return;
    const block = Array.from({ length: 200 }, (_, index) => lineOf(line + index)).join('');
    line += 200;
    if (socket.write(block, 'latin1')) setImmediate(more);
  };
  socket.resume().on('drain', more);
  more();
}

function echoTcp(change: (chunk: Buffer, position: number) => Buffer): (socket: Socket) => void {
  return (socket) => {
    let position = 0;
    socket.on('data', (chunk) => {
      socket.write(change(Buffer.from(chunk), position));
      position += chunk.length;
    });
    socket.on('end', () => socket.end());
  };
}

/** Sends this and closes properly. */
function answer(bytes: Uint8Array | string): (socket: Socket) => void {
  return (socket) => void socket.resume().end(bytes, 'latin1');
}

/** The answers of an honest server, for what only its manners are wrong. */
const honest = {
  systat: '2 users\r\n',
  daytime: 'Sun Nov 22 11:07:12 2026\r\n',
  qotd: 'An echo is the only answer that is never wrong.\r\n',
  time: '\x01\x02\x03\x04',
} as const;

const closing: readonly Mutant[] = Object.entries(honest).flatMap(([service, text]): Mutant[] => [
  {
    id: `${service}.tcp.closes`,
    fault: 'stays open',
    tcp: (socket) => void socket.resume().write(text),
    says: /a connection that stays open after/,
    isSilent: true,
  },
  {
    id: `${service}.tcp.closes`,
    fault: 'goes on for ever',
    tcp: (socket) => pour(socket, () => text),
    says: /endless data after/,
  },
  {
    id: `${service}.tcp.half-close`,
    fault: "takes the client's FIN for a farewell",
    tcp(socket) {
      const timer = setTimeout(() => socket.end(text), 100);
      socket.resume().on('end', () => {
        clearTimeout(timer);
        socket.end();
      });
    },
    says: /FIN without the answer/,
  },
  {
    id: `${service}.tcp.unread-input`,
    fault: 'closes at once, without a look at its input',
    tcp: (socket) => void socket.end(text, () => socket.destroy()),
    says: /reset/,
  },
  {
    id: `${service}.tcp.unread-input`,
    fault: 'resets the connection for input',
    tcp: (socket) => void socket.on('data', () => socket.write(text, () => socket.resetAndDestroy())),
    says: /reset/,
  },
]);

const text = 'what is answered';

const answering: readonly Mutant[] = (['echo', 'systat', 'daytime', 'qotd', 'chargen', 'time'] as const).flatMap(
  (service): Mutant[] => {
    const common: Mutant[] = [
      {
        id: `${service}.udp.burst`,
        fault: 'loses what comes in a burst',
        udp: (_request, reply, count) => count <= 5 && reply(text),
        says: /expected 30 answers; saw 4/,
        isSilent: true,
      },
      {
        id: `${service}.udp.amplification`,
        fault: 'sends far more than it got',
        udp: (_request, reply) => reply(Buffer.alloc(400, 'x')),
        says: /saw a factor of 5\.\d\d: 466 bytes on the wire for 84/,
      },
      {
        id: `${service}.udp.amplification`,
        fault: 'sends five for one',
        udp: (_request, reply) => ['1', '2', '3', '4', '5'].forEach((each) => reply(each)),
        says: /saw a factor of 5\.00/,
      },
      ...['low', 'reflector'].map((kind) => ({
        id: `${service}.udp.source-port-${kind}`,
        fault: 'answers to every port',
        udp: (_request: Buffer, reply: Reply) => reply(text),
        says: /expected silence; saw an answer to ports? [\d, ]+: "what is/,
      })),
    ];
    if (service === 'echo') return common;
    return [
      ...common,
      {
        id: `${service}.udp.empty`,
        fault: 'does not answer an empty datagram',
        udp: (request, reply) => request.length > 0 && reply(text),
        says: /silent over UDP/,
        isSilent: true,
      },
      {
        id: `${service}.udp.any`,
        fault: 'answers empty datagrams only',
        udp: (request, reply) => request.length === 0 && reply(text),
        says: /silent over UDP/,
        isSilent: true,
      },
    ];
  },
);

/** What an honest reflector of test packets answers. */
function reflected(request: Buffer): Buffer {
  const reply = Buffer.alloc(Math.max(44, request.length));
  request.copy(reply, 44, Math.min(44, request.length));
  if (reply.length > 44) reply[44] = reply[45] === 1 ? (reply.readUInt16BE(46) + 48 > reply.length ? 0x40 : 0) : 0x80;
  request.copy(reply, 0, 0, 16);
  reply.write('eead4b60800000001d80', 4, 'hex');
  reply.write('eead4b6040000000', 16, 'hex');
  request.copy(reply, 24, 0, 14);
  reply[40] = 64;
  return reply;
}

/** A reflector that does this to each of its answers. */
function reflector(change: (reply: Buffer, request: Buffer) => Uint8Array | void): NonNullable<Behaviour['udp']> {
  return (request, send) => {
    const reply = reflected(request);
    send(change(reply, request) ?? reply);
  };
}

const reflectors: readonly Mutant[] = [
  {
    id: 'stamp.udp.base',
    fault: 'sends what TWAMP Light needs only',
    udp: reflector((reply) => reply.subarray(0, 41)),
    says: /expected 44 bytes; saw .*\(41 bytes\)/,
  },
  {
    id: 'stamp.udp.padding',
    fault: 'leaves the padding out',
    udp: reflector((reply) => reply.subarray(0, 44)),
    says: /expected 45 bytes; saw .*\(44 bytes\)/,
  },
  {
    id: 'stamp.udp.short',
    fault: 'cuts its answer to the length of the packet',
    udp: reflector((reply, request) => reply.subarray(0, request.length)),
    says: /expected 44 bytes; saw .*\(14 bytes\)/,
  },
  {
    id: 'stamp.udp.sender',
    fault: 'forgets what the sender said of its clock',
    udp: reflector((reply) => void reply.fill(0, 36, 38)),
    says: /expected 73 6d 08 62 .* 20 01 \(14 bytes\); saw .* 00 00 \(14 bytes\)/,
  },
  {
    id: 'stamp.udp.session',
    fault: 'knows no sessions',
    udp: reflector((reply) => void reply.fill(0, 14, 16)),
    says: /expected 21331; saw 0/,
  },
  {
    id: 'stamp.udp.times',
    fault: 'leaves before it arrives',
    udp: reflector((reply) => void reply.writeUInt8(0x61, 19)),
    says: /a time of departure shortly after the time of arrival/,
  },
  {
    id: 'stamp.udp.times',
    fault: 'knows no time',
    udp: reflector((reply) => void reply.fill(0, 4, 12).fill(0, 16, 24)),
    says: /a time of departure shortly after the time of arrival/,
  },
  {
    id: 'stamp.udp.error',
    fault: 'is never wrong',
    udp: reflector((reply) => void reply.writeUInt8(0, 13)),
    says: /expected a multiplier; saw/,
  },
  {
    id: 'stamp.udp.ttl',
    fault: 'does not know the TTL',
    udp: reflector((reply) => void reply.writeUInt8(0, 40)),
    says: /two zeros, a TTL and three zeros; saw 00 00 00 00 00 00/,
  },
  {
    id: 'stamp.udp.ttl',
    fault: 'leaves memory of its own where zeros belong',
    udp: reflector((reply) => void reply.fill('x', 41, 44)),
    says: /two zeros, a TTL and three zeros; saw/,
  },
  {
    id: 'stamp.udp.tlv-unknown',
    fault: 'pretends to know every TLV',
    udp: reflector((reply) => void reply.fill(0, 44, Math.min(45, reply.length))),
    says: /expected flags 80; saw 00/,
  },
  ...[
    ['known', '00'],
    ['malformed', '40'],
  ].map(
    ([kind, flags]): Mutant => ({
      id: `stamp.udp.tlv-${kind}`,
      fault: 'echoes TLVs without a look',
      udp: reflector((reply, request) => void request.copy(reply, 44, Math.min(44, request.length))),
      says: new RegExp(`expected flags ${flags}; saw 80`),
    }),
  ),
  {
    id: 'stamp.udp.tlv-known',
    fault: 'loses the value',
    udp: reflector((reply) => void reply.fill(0, Math.min(48, reply.length))),
    says: /the same type, length and value/,
  },
  {
    id: 'stamp.udp.loop',
    fault: 'answers whatever comes',
    udp: reflector(() => {}),
    says: /expected silence; saw/,
  },
  {
    id: 'stamp.udp.burst',
    fault: 'loses what comes in a burst',
    udp: (request, reply, count) => count <= 5 && reply(reflected(request)),
    says: /expected 30 answers; saw 4/,
    isSilent: true,
  },
  {
    id: 'stamp.udp.amplification',
    fault: 'sends far more than it got',
    udp: reflector(() => Buffer.alloc(400)),
    says: /saw a factor of 5\.\d\d: 466 bytes on the wire for 84/,
  },
  ...['low', 'reflector'].map(
    (kind): Mutant => ({
      id: `stamp.udp.source-port-${kind}`,
      fault: 'answers to every port',
      udp: reflector(() => {}),
      says: /expected silence; saw an answer to ports? [\d, ]+: 00 00/,
    }),
  ),
];

/** The same wrong answer over both transports. */
function wrongAnswer(id: string, fault: string, bytes: Uint8Array | string, says: RegExp): readonly Mutant[] {
  const [service = '', fact = ''] = id.split('.');
  const latin1 = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  return [
    { id: `${service}.tcp.${fact}`, fault, tcp: answer(latin1), says },
    { id: `${service}.udp.${fact}`, fault, udp: (_request, reply) => reply(latin1), says },
  ];
}

/** Answers each line by itself; what is no line yet waits. Its end ends the connection. */
function lineServer(reply: (line: string, socket: Socket) => string | undefined): (socket: Socket) => void {
  return (socket) => {
    let pending = '';
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      for (let at = pending.indexOf('\n'); at >= 0; at = pending.indexOf('\n')) {
        const answered = reply(pending.slice(0, at).trimEnd(), socket);
        pending = pending.slice(at + 1);
        if (answered !== undefined) socket.write(answered, 'latin1');
      }
    });
    socket.on('end', () => socket.end());
  };
}

/** Answers the first line, and closes. */
function oneLine(reply: (line: string) => string): (socket: Socket) => void {
  return lineServer((line, socket) => void socket.end(reply(line), 'latin1'));
}

/** Takes what comes in one packet for the line. */
function onePacket(reply: (line: string) => string): (socket: Socket) => void {
  return (socket) =>
    void socket.once('data', (chunk) => socket.resume().end(reply(chunk.toString('latin1').trimEnd()), 'latin1'));
}

/** Forgets its answer if the FIN comes first. */
function hasty(reply: string): (socket: Socket) => void {
  return (socket) => {
    const timer = setTimeout(() => socket.end(reply, 'latin1'), 100);
    socket.resume().on('end', () => {
      clearTimeout(timer);
      socket.end();
    });
  };
}

const endless = { fault: 'waits for the end of a line', says: /no data within/, isSilent: true } as const;

/** tcpmux that offers echo, but for what is wrong with it. */
function mux(names: Readonly<Record<string, string>>): (line: string) => string {
  return (line) => ({ HELP: 'echo\r\n', echo: '+\r\n', ECHO: '+ok\r\n', ...names })[line] ?? '-no\r\n';
}

/** Ident that hides every user, but for what is wrong with it. */
function identReply(line: string): string {
  const [server, client] = line.split(',').map(Number);
  const error = client === 65_536 ? 'INVALID-PORT' : 'HIDDEN-USER';
  return `${server} , ${client} : ERROR : ${error}\r\n`;
}

const lineMutants: readonly Mutant[] = [
  {
    id: 'tcpmux.tcp.help',
    fault: 'ends its lines with LF',
    tcp: oneLine(mux({ HELP: 'echo\ntime\n' })),
    says: /expected lines that end with CR LF; saw "echo\\ntime\\n"/,
  },
  {
    id: 'tcpmux.tcp.help',
    fault: 'stays open',
    tcp: lineServer(mux({})),
    says: /a connection that stays open after "echo/,
    isSilent: true,
  },
  {
    id: 'tcpmux.tcp.split',
    fault: 'takes a packet for a name',
    tcp: onePacket(mux({})),
    says: /expected the answer to HELP; saw "-no/,
  },
  {
    id: 'tcpmux.tcp.unknown',
    fault: 'sends a NUL',
    tcp: oneLine(() => '-no\r\n\0'),
    says: /expected lines that end with CR LF; saw "-no\\r\\n\\x00"/,
  },
  {
    id: 'tcpmux.tcp.unknown',
    fault: 'offers everything',
    tcp: oneLine(() => '+\r\n'),
    says: /expected one line with "-"; saw "\+/,
  },
  {
    id: 'tcpmux.tcp.known',
    fault: 'does not offer what it lists',
    tcp: oneLine(mux({ echo: '-no\r\n' })),
    says: /expected "\+" for echo; saw "-no/,
  },
  {
    id: 'tcpmux.tcp.known',
    fault: 'sends a NUL within the line',
    tcp: oneLine(mux({ echo: '+\0\r\n' })),
    says: /expected lines of printing characters that end with CR LF; saw "\+\\x00/,
  },
  {
    id: 'tcpmux.tcp.case',
    fault: 'knows names in lower case only',
    tcp: oneLine(mux({ ECHO: '-no\r\n' })),
    says: /expected "\+" for ECHO; saw "-no/,
  },
  {
    id: 'tcpmux.tcp.half-close',
    fault: "takes the client's FIN for a farewell",
    tcp: hasty('echo\r\n'),
    says: /expected the answer to HELP; saw only 0 of 6 bytes/,
  },
  {
    id: 'finger.tcp.list',
    fault: 'ends its lines with LF',
    tcp: oneLine(() => 'nobody\n'),
    says: /expected lines that end with CR LF; saw "nobody\\n"/,
  },
  {
    id: 'finger.tcp.list',
    fault: 'gives orders to terminals',
    tcp: oneLine(() => '\x1b[2J\r\n'),
    says: /expected lines of printing characters/,
  },
  {
    id: 'finger.tcp.list',
    fault: 'has nothing to say',
    tcp: oneLine(() => ''),
    says: /expected an answer; saw FIN without an answer|no data/,
  },
  {
    id: 'finger.tcp.user',
    fault: 'stays open',
    tcp: lineServer(() => 'no\r\n'),
    says: /a connection that stays open after "no/,
    isSilent: true,
  },
  {
    id: 'finger.tcp.detail',
    fault: 'has nothing to say to /W',
    tcp: oneLine((line) => (line.startsWith('/W') ? '' : 'no\r\n')),
    says: /FIN without an answer/,
  },
  {
    id: 'finger.tcp.split',
    fault: 'takes a packet for a query',
    tcp: onePacket((line) => (line === '/W' ? '' : 'no\r\n')),
    says: /FIN without an answer/,
  },
  {
    id: 'finger.tcp.half-close',
    fault: "takes the client's FIN for a farewell",
    tcp: hasty('no\r\n'),
    says: /expected an answer; saw FIN without an answer/,
  },
  {
    id: 'finger.tcp.forward',
    fault: 'asks another host',
    tcp: oneLine((line) => (line.includes('@') ? '[127.0.0.1]\r\nno\r\n' : 'no\r\n')),
    says: /expected a refusal; saw "\[127\.0\.0\.1\]/,
  },
  {
    id: 'finger.tcp.forward',
    fault: 'has nothing to say of another host',
    tcp: oneLine((line) => (line.includes('@') ? '' : 'no\r\n')),
    says: /expected a sentence; saw FIN without an answer/,
  },
  {
    id: 'ident.tcp.reply',
    fault: 'swaps the ports',
    tcp: lineServer((line) => identReply(line.split(',').toReversed().join())),
    says: /expected a reply for \d+ , \d+; saw/,
  },
  {
    id: 'ident.tcp.reply',
    fault: 'makes up an error',
    tcp: lineServer((line) => identReply(line).replace('HIDDEN-USER', 'GO-AWAY')),
    says: /expected an error of RFC 1413; saw/,
  },
  {
    id: 'ident.tcp.reply',
    fault: 'gives a name alone',
    tcp: lineServer(() => 'nobody\r\n'),
    says: /expected one line with USERID or ERROR; saw "nobody/,
  },
  {
    id: 'ident.tcp.reply',
    fault: 'ends the line with LF',
    tcp: lineServer((line) => identReply(line).replace('\r', '')),
    says: /expected lines that end with CR LF/,
  },
  {
    id: 'ident.tcp.spaces',
    fault: 'wants spaces around the comma',
    tcp: lineServer((line) => (line.includes(' , ') ? identReply(line) : 'what?\r\n')),
    says: /expected one line with USERID or ERROR; saw "what/,
  },
  {
    id: 'ident.tcp.split',
    fault: 'takes a packet for a request',
    tcp: onePacket(() => 'what?\r\n'),
    says: /expected one line with USERID or ERROR; saw "what/,
  },
  {
    id: 'ident.tcp.invalid-port',
    fault: 'knows every port',
    tcp: lineServer((line) => identReply(line.replace('65536', '1'))),
    says: /expected ERROR : INVALID-PORT; saw "0 , 1 : ERROR : HIDDEN-USER/,
  },
  {
    id: 'ident.tcp.half-close',
    fault: "takes the client's FIN for a farewell",
    tcp: hasty('1 , 1 : ERROR : NO-USER\r\n'),
    says: /expected a reply; saw FIN without a reply/,
  },
  {
    id: 'ident.tcp.several',
    fault: 'answers three times',
    tcp: lineServer((line) => identReply(line).repeat(2)),
    says: /expected 2 replies; saw/,
  },
  ...['tcpmux', 'finger', 'ident'].map(
    (service): Mutant => ({ id: `${service}.tcp.long-line`, tcp: lineServer(() => ''), ...endless }),
  ),
];

const cuts = [1, 512, 1472, 8192, 65_507];

/** Servers that are each wrong in one point. */
export const mutants: readonly Mutant[] = [
  {
    id: 'echo.tcp.bytes',
    fault: 'swallows telnet commands',
    tcp: echoTcp((chunk) => chunk.filter((byte) => byte !== 0xff) as Buffer),
    says: /expected the bytes that were sent; saw/,
    isSilent: true,
  },
  {
    id: 'echo.tcp.bytes',
    fault: 'clears the eighth bit',
    tcp: echoTcp((chunk) => chunk.map((byte) => byte & 0x7f) as Buffer),
    says: /saw 7f 74 7f 72 .* from byte 9 on/,
  },
  {
    id: 'echo.tcp.megabyte',
    fault: 'changes one byte of many',
    tcp: echoTcp((chunk, position) =>
      position <= 700_000 && position + chunk.length > 700_000
        ? Buffer.concat([
            chunk.subarray(0, 700_000 - position),
            Buffer.from([(chunk[700_000 - position] ?? 0) ^ 1]),
            chunk.subarray(700_001 - position),
          ])
        : chunk,
    ),
    says: /from byte \d+ on/,
  },
  {
    id: 'echo.tcp.half-close',
    fault: 'throws away what it has not sent yet',
    tcp(socket) {
      let held = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        held = Buffer.concat([held, Buffer.from(chunk)]);
        if (held.length < 10_000) return;
        socket.write(held.subarray(0, 10_000));
        held = held.subarray(10_000);
      });
      socket.on('end', () => socket.end());
    },
    says: /only \d+ of 32768 bytes/,
  },
  {
    id: 'echo.tcp.half-close',
    fault: 'never closes',
    tcp: (socket) => void socket.on('data', (chunk) => socket.write(chunk)),
    says: /a connection that stays open/,
    isSilent: true,
  },
  {
    id: 'echo.tcp.fin',
    fault: 'says farewell',
    tcp: (socket) => void socket.resume().on('end', () => socket.end('bye')),
    says: /expected no data; saw "bye"/,
  },
  {
    id: 'echo.udp.length-0',
    fault: 'does not answer an empty datagram',
    udp: (request, reply) => request.length > 0 && reply(request),
    says: /expected the same datagram; saw .* is silent over UDP/,
    isSilent: true,
  },
  ...cuts.map(
    (length): Mutant => ({
      id: `echo.udp.length-${length}`,
      fault: 'cuts the datagram',
      udp: (request, reply) => reply(request.subarray(0, length - 1)),
      says: new RegExp(`only ${length - 1} of ${length} bytes`),
    }),
  ),
  {
    id: 'echo.udp.content',
    fault: 'answers with what came before',
    udp: (() => {
      let before: Buffer = Buffer.from('nothing came before');
      return (request: Buffer, reply: Reply) => {
        reply(before);
        before = request;
      };
    })(),
    says: /expected each of 5 datagrams at most once; saw 5 answers, some with other content: "/,
  },
  {
    id: 'echo.udp.content',
    fault: 'answers twice',
    udp: (request, reply) => [request, request].forEach(reply),
    says: /expected each of 5 datagrams at most once; saw 10 answers, some of them twice: "/,
  },
  {
    id: 'discard.tcp.silent',
    fault: 'talks',
    tcp: (socket) => void socket.on('data', () => socket.write('thanks')),
    says: /expected silence; saw "thanks"/,
  },
  {
    id: 'discard.tcp.silent',
    fault: 'closes after the first bytes',
    tcp: (socket) => void socket.on('data', () => socket.end()),
    says: /expected silence; saw FIN/,
  },
  {
    id: 'discard.tcp.half-close',
    fault: 'never closes',
    tcp: (socket) => void socket.resume(),
    says: /no data within/,
    isSilent: true,
  },
  {
    id: 'discard.tcp.half-close',
    fault: 'takes some, and resets',
    tcp: (socket) => void socket.on('data', () => socket.resetAndDestroy()),
    says: /connection reset|connection was closed/,
  },
  {
    id: 'discard.tcp.half-close',
    fault: 'says how much it took',
    tcp: (socket) => void socket.resume().on('end', () => socket.end('a megabyte')),
    says: /expected no data; saw "a megabyte"/,
  },
  {
    id: 'discard.udp.silent',
    fault: 'answers',
    udp: (_request, reply) => reply('thanks'),
    says: /expected silence; saw "thanks"/,
  },
  ...wrongAnswer('systat.characters', 'sends an umlaut', 'ren\xe9\r\n', /saw e9 \(1 byte\) at 3 of "ren\\xe9/),
  ...wrongAnswer('systat.lines', 'ends lines with LF', 'one\ntwo\n', /saw "one\\ntwo\\n"/),
  ...wrongAnswer('systat.lines', 'cuts the last line', 'one\r\ntw', /saw "one\\r\\ntw"/),
  ...wrongAnswer('daytime.characters', 'gives orders to terminals', '\x1b[2JSunday\r\n', /saw 1b \(1 byte\) at 0/),
  ...wrongAnswer('daytime.one-line', 'sends two lines', '11:07\r\nSunday\r\n', /saw "11:07\\r\\nSunday\\r\\n"/),
  ...wrongAnswer('daytime.one-line', 'ends the line with LF', 'Sunday 11:07\n', /saw "Sunday 11:07\\n"/),
  ...wrongAnswer(
    'daytime.clock',
    'lives in 1999',
    'Sun Nov 22 11:07:12 1999\r\n',
    /expected about 2026-11-22T11:07:12/,
  ),
  ...wrongAnswer('daytime.clock', 'is two minutes late', '2026-11-22T11:05:12+00:00\r\n', /saw "2026-11-22T11:05:12/),
  ...wrongAnswer('qotd.length', 'does not know when to stop', 'x'.repeat(512), /expected 1 to 511 .* \(512 bytes\)/),
  ...wrongAnswer('qotd.length', 'has nothing to say', '', /expected 1 to 511 characters; saw nothing/),
  ...wrongAnswer('qotd.characters', 'quotes in another language', 'd\xe9j\xe0 vu\r\n', /saw e9 \(1 byte\) at 1/),
  ...wrongAnswer(
    'time.four-bytes',
    'sends eight bytes',
    Buffer.alloc(8, 1),
    /expected 4 bytes; saw 01 01.*\(8 bytes\)/,
  ),
  ...wrongAnswer('time.four-bytes', 'sends three bytes', Buffer.alloc(3, 1), /expected 4 bytes; saw 01 01 01/),
  ...wrongAnswer('time.clock', 'lives in 1900', Buffer.alloc(4), /expected about ee ad 4b 60.*; saw 00 00 00 00/),
  {
    id: 'chargen.tcp.start',
    fault: 'starts where the last one ended',
    tcp: (socket) => pour(socket, (line) => chargenLine(line + 40)),
    says: /expected " !\\"#.*; saw "HIJKL/,
  },
  {
    id: 'chargen.tcp.lines',
    fault: 'has lines of 70 characters',
    tcp: (socket) => pour(socket, (line) => chargenLine(line, 95, 70)),
    says: /expected 72 printing characters per line; saw .*\(70 bytes\)/,
  },
  {
    id: 'chargen.tcp.lines',
    fault: 'ends before a period is over',
    tcp: answer(Array.from({ length: 90 }, (_, line) => chargenLine(line)).join('')),
    says: /expected at least 14134 bytes; saw only .*\(6660 bytes\)/,
  },
  {
    id: 'chargen.tcp.ring',
    fault: 'has no tilde',
    tcp: (socket) => pour(socket, (line) => chargenLine(line, 94)),
    says: /expected "~" after "}"; saw "z\{\|\} " \(5 bytes\)/,
  },
  {
    id: 'chargen.tcp.ring',
    fault: 'repeats its first line',
    tcp: (socket) => pour(socket, () => chargenLine(0)),
    says: /expected a line that starts with "!" after one that starts with " "/,
  },
  {
    id: 'chargen.tcp.input',
    fault: 'stops at a word',
    tcp(socket) {
      pour(socket, (line) => chargenLine(line));
      socket.once('data', () => socket.end());
    },
    says: /expected the stream to continue; saw FIN after \d+ more bytes/,
  },
  {
    id: 'chargen.tcp.half-close',
    fault: 'stops at a FIN',
    tcp(socket) {
      pour(socket, (line) => chargenLine(line));
      socket.once('end', () => socket.end());
    },
    says: /expected the stream to continue; saw FIN after \d+ more bytes/,
  },
  {
    id: 'chargen.udp.length',
    fault: 'sends a kilobyte',
    udp: (_request, reply) => reply(Buffer.alloc(1024, 'x')),
    says: /expected at most 512 bytes; saw "x.*\(1024 bytes\)/,
  },
  {
    id: 'chargen.udp.random',
    fault: 'always sends a line',
    udp: (_request, reply, count) => reply(chargenLine(count)),
    says: /74 bytes each time/,
  },
  {
    id: 'chargen.udp.ring',
    fault: 'has no space',
    udp: (_request, reply) => reply(`}~${chargenLine(1, 94)}`),
    says: /expected " " after "~"; saw "}~!/,
  },
  ...lineMutants,
  ...closing,
  ...answering,
  ...reflectors,
];
