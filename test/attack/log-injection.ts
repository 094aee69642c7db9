/** Attack 12: clients that send what would rule a terminal, or forge a line, if it came into the log as it is. */
import { type NetConnectOpts, Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { services } from '../../src/services/index.ts';
import { DaemonProcess, fixtures, type LogLine, temporaryDirectory, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { proxied } from '../support/proxy-datagram.ts';
import { transportsOf } from '../support/transports.ts';
import { UdpClient } from '../support/udp.ts';
import { within } from '../support/wait.ts';
import { daemonProgram } from '../system/machine.ts';
import { Program } from '../system/program.ts';
import { type Bound, holds } from './figures.ts';
import { sockets } from './sockets.ts';

/** Where the daemon of the attack listens. */
interface Places {
  readonly ports: Readonly<Record<string, number>>;
  readonly paths: Readonly<Record<string, string>>;
  readonly admin: number;
}

const attack = 12;
const host = '127.0.0.1';
const builtIn = services.map(({ name }) => name);

/** Those that answer over this transport. */
function over(transport: 'tcp' | 'udp'): readonly string[] {
  return builtIn.filter((name) => transportsOf(name).includes(transport));
}

const none: Bound = { atLeast: 0, atMost: 0 };
const largestDatagram = 65_507;
/** The supervisor throws longer lines of a worker away. */
const longestOfModule = 256 * 1024;
/** More than any but chargen sends. */
const enough = 2 * 1024 * 1024;
const controlC = '\u0003';
/** All control characters but the line end, and what some readers of JSON take for one. */
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/g;

const json = '{"level":"info","time":"now","msg":"forged"}';
/**
 * Of terminals: a title, a clear, colours, a question that is answered as if typed, a string for the terminal itself.
 */
const orders = '\u001b]0;owned\u0007\u001b[2J\u001b[1;31mred\u001b[8m\u001b[6n\u001bP+q544e\u001b\\\u009b31m';
const inputs: readonly Buffer[] = [
  Buffer.from(characters(0, 0x1f)),
  // As UTF-8, and as bytes that are none.
  Buffer.from(characters(0x7f, 0x9f)),
  Buffer.from(characters(0x7f, 0x9f), 'latin1'),
  Buffer.from(orders),
  Buffer.from(`x\r\n${json}\n[12:00:00.000] INFO: forged\n`),
  Buffer.from(`x\u0085${json}\u2028${json}\u2029${json}`),
  Buffer.from('c080eda080fffef51b5b324ae280', 'hex'),
  Buffer.alloc(1024 * 1024, orders),
  Buffer.alloc(1024 * 1024, 0x01),
];
/**
 * Puts what it is sent into the log in every way. One for each input: of a service's errors the first is logged whole.
 */
const tellers = inputs.map((_, index) => `tells-${index}`);

/** The log through a pipe: a JSON object a line. */
export async function injectIntoJson(): Promise<void> {
  const { config, places } = await everything();
  const daemon = await DaemonProcess.serve(config);
  await send(places);
  expect(await daemon.stop()).toBe(0);
  expect(daemon.stderr).toBe('');
  const lines = daemon.stdout.split('\n').slice(0, -1);
  const closed = new Set(daemon.linesWith('closed').map(({ service }) => service));
  expect(closed).toEqual(new Set([...over('tcp'), ...tellers, 'proxied']));

  holds(attack, 'log as JSON: raw control bytes', count(daemon.stdout, controls), none);
  holds(attack, 'log as JSON: lines that are not JSON', lines.filter((line) => !isJson(line)).length, none);
  holds(attack, 'log as JSON: forged lines', daemon.linesWith('forged').length, none);
  const parsed = daemon.lines.map((line) => ({ isOfModule: isOfModule(line), bytes: JSON.stringify(line).length }));
  const longest = (isModule: boolean): number =>
    Math.max(...parsed.filter((line) => line.isOfModule === isModule).map(({ bytes }) => bytes));
  const unit = ' bytes';
  holds(attack, 'log as JSON: longest line', longest(false), { atMost: 4096, unit });
  const ofModule = 'log as JSON: longest line of a module that logs all its input';
  holds(attack, ofModule, longest(true), { atMost: longestOfModule, unit });
}

/** The log on a terminal, laid out for people; without colours, so that all control bytes are somebody else's. */
export async function injectIntoTerminal(): Promise<void> {
  const { config, places } = await everything();
  const command = [...daemonProgram, '--config', writeConfig(config)].join(' ');
  const terminal = new Program(['script', '--quiet', '--return', '--command', `exec ${command}`, '/dev/null'], {
    env: { TERM: 'xterm-256color', NO_COLOR: '1' },
  });
  await terminal.says(/INFO: ready/);
  await send(places);
  terminal.type(controlC);
  expect(await terminal.end()).toMatchObject({ code: 0 });
  // The terminal itself makes CRLF of a line end.
  const shown = terminal.output.replaceAll('\r\n', '\n');
  expect(shown).toContain('INFO: a field');
  holds(attack, 'log on a terminal: raw control bytes', count(shown, controls), none);
  const forged = /^(?:\{"level"|\[12:00:00\.000\] INFO: forged)/gm;
  holds(attack, 'log on a terminal: forged lines', count(shown, forged), none);
}

/** All that can be asked for, over all transports. */
async function everything(): Promise<{ readonly config: object; readonly places: Places }> {
  const directory = temporaryDirectory();
  const names = [...builtIn, ...tellers, 'proxied'];
  const ports: Record<string, number> = {};
  for (const name of names) ports[name] = await freePort();
  const paths = Object.fromEntries(names.map((name) => [name, join(directory, name)]));
  const admin = await freePort();
  const tcp = (name: string): string => `tcp://${host}:${ports[name]}`;
  const udp = (name: string): string => `udp://${host}:${ports[name]}`;
  const unix = (name: string): string => `unix://${paths[name]}`;
  const addresses = { tcp: (name: string) => [tcp(name), unix(name)], udp: (name: string) => [udp(name)] };
  const module = join(fixtures, 'tells.js');
  const listening = [
    ...builtIn.map((name) => [name, { listen: transportsOf(name).flatMap((each) => addresses[each](name)) }] as const),
    ...tellers.map((name) => [name, { module, listen: [tcp(name), unix(name)] }] as const),
  ];
  const config = {
    workers: 2,
    sockets,
    log: { level: 'debug', connections: 'debug' },
    admin: { listen: `tcp://${host}:${admin}` },
    services: {
      ...Object.fromEntries(listening),
      proxied: {
        type: 'echo',
        listen: [tcp('proxied'), `udp://${host}:${ports['proxied']}`],
        proxyProtocol: { from: ['127.0.0.0/8'] },
      },
    },
  };
  return { config, places: { ports, paths, admin } };
}

/** Sends every input to every place, and in every part of what is asked. */
async function send({ ports, paths, admin }: Places): Promise<void> {
  const udp = await UdpClient.open(host);
  for (const [index, input] of inputs.entries()) {
    const streams = [...over('tcp'), `tells-${index}`].flatMap((name) => [
      talk({ host, port: ports[name] ?? 0 }, input),
      talk({ path: paths[name] ?? '' }, input),
    ]);
    for (const name of over('udp')) udp.send(input.subarray(0, largestDatagram), { host, port: ports[name] ?? 0 });
    for (const datagram of proxyDatagrams(input)) udp.send(datagram, { host, port: ports['proxied'] ?? 0 });
    const headers = proxyHeaders(input).map(async (header) => talk({ host, port: ports['proxied'] ?? 0 }, header));
    const requests = httpRequests(input).map(async (request) => talk({ host, port: admin }, request));
    await Promise.all([...streams, ...headers, ...requests]);
  }
}

/** Sends all of it, and takes what comes until the server ends; of an answer without end, enough. */
async function talk(place: NetConnectOpts, bytes: Buffer): Promise<void> {
  const socket = new Socket().on('error', () => {});
  const gone = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  socket.on('data', () => {
    if (socket.bytesRead > enough) socket.destroy();
  });
  socket.connect(place, () => socket.end(bytes));
  await within(gone, `the end of a connection to ${JSON.stringify(place)}`);
}

/** Version 1; that of an unknown protocol may say anything up to its line end. */
function proxyHeaders(input: Buffer): readonly Buffer[] {
  const end = Buffer.from('\r\n');
  return [
    input,
    Buffer.concat([Buffer.from('PROXY TCP4 '), input, end]),
    Buffer.concat([Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1000 '), input, end]),
    Buffer.concat([Buffer.from('PROXY UNKNOWN '), input.subarray(0, 80), end]),
  ];
}

/** Without a header, and in, before and after one of version 2. */
function proxyDatagrams(input: Buffer): readonly Buffer[] {
  const part = input.subarray(0, largestDatagram / 2);
  const inside = proxied('192.0.2.1', 1000, part, { tlvs: part.subarray(0, 1000) });
  return [part, inside, Buffer.concat([part, inside]).subarray(0, largestDatagram)];
}

function httpRequests(input: Buffer): readonly Buffer[] {
  const around = [
    ['', ' / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['GET /', ' HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['GET / HTTP/1.1\r\nHost: ', '\r\n\r\n'],
    ['GET / HTTP/1.1\r\nHost: localhost\r\n', ': x\r\n\r\n'],
    ['GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ', '\r\n\r\n'],
  ];
  return around.map(([before = '', after = '']) => Buffer.concat([Buffer.from(before), input, Buffer.from(after)]));
}

function isJson(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

/** What the module that tells made the daemon log. */
function isOfModule({ service, output }: LogLine): boolean {
  return String(service).startsWith('tells') || output !== undefined;
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

/** The characters from one code to another. */
function characters(from: number, to: number): string {
  return String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, index) => from + index));
}
