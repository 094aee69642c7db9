import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Sample } from '../../bench/load-generator.ts';
import { checkout, needs } from './machine.ts';
import { Program, type End } from './program.ts';

needs();

const directory = mkdtempSync(join(tmpdir(), 'smallservd-load-'));
const load = join(directory, 'load');
afterAll(() => rmSync(directory, { recursive: true }));

beforeAll(() => {
  const sources = readdirSync(join(checkout, 'bench/load')).filter((name) => name.endsWith('.c'));
  const paths = sources.map((name) => join(checkout, 'bench/load', name));
  execFileSync('gcc', ['-O2', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-o', load, ...paths]);
});

/** The port of a server that does this with each client. */
async function serve(handle: (client: Socket) => void): Promise<number> {
  const server = createServer((client) => {
    client.on('error', () => {});
    onTestFinished(() => void client.destroy());
    handle(client);
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** The port of a UDP server that does this with each datagram. */
async function serveDatagrams(answer: (message: Buffer, send: (answer: Buffer) => void) => void): Promise<number> {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  socket.on('message', (message, { port, address }) => answer(message, (bytes) => socket.send(bytes, port, address)));
  await once(socket.bind(0, '127.0.0.1'), 'listening');
  return socket.address().port;
}

interface Outcome {
  readonly end: End;
  /** What it measured, if it came to that. */
  readonly sample: Sample | undefined;
  readonly complaints: string;
}

/** Four clients with messages of 1,000 bytes, for a moment. */
async function run(kind: string, port: number): Promise<Outcome> {
  const program = new Program([load, kind, String(port), '4', '1000', '0'], { input: '0.1\n' });
  const end = await program.ended;
  const [ready, line] = program.output.split('\n');
  const sample = ready === 'ready' && line ? (JSON.parse(line) as Sample) : undefined;
  return { end, sample, complaints: program.complaints };
}

const now = (): Buffer => {
  const seconds = Buffer.alloc(4);
  seconds.writeUInt32BE(Math.floor(Date.now() / 1000) + 2_208_988_800);
  return seconds;
};

const ring = String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 0x20 + index));
const characters = Array.from(ring, (_, start) => `${(ring + ring).slice(start, start + 72)}\r\n`).join('');

const good: Readonly<Record<string, (client: Socket) => void>> = {
  'tcp-echo': (client) => client.on('data', (chunk) => client.write(chunk)),
  'bulk-echo': (client) => client.on('data', (chunk) => client.write(chunk)),
  daytime: (client) => client.end(`${new Date().toUTCString()}\r\n`),
  time: (client) => client.end(now()),
  chargen(client) {
    const send = (): void => void client.write(characters, (error) => error ?? setImmediate(send));
    send();
  },
};

const flip = (chunk: Buffer): Buffer => {
  const wrong = Buffer.from(chunk);
  wrong.writeUInt8(wrong.readUInt8(wrong.length - 1) ^ 1, wrong.length - 1);
  return wrong;
};

describe('the load generator', () => {
  it.each(Object.keys(good))('counts the answers of a right %s server', async (kind) => {
    const { end, sample, complaints } = await run(kind, await serve(good[kind] ?? (() => {})));
    expect(complaints).toBe('');
    expect(end.code).toBe(0);
    expect(sample).toMatchObject({ errors: 0, lost: 0 });
    expect(sample?.operations).toBeGreaterThanOrEqual(4);
    expect(sample?.bytes).toBeGreaterThan(0);
    expect(sample?.p50Us).toBeGreaterThan(0);
    expect(sample?.maxUs).toBeGreaterThanOrEqual(sample?.p50Us ?? 0);
  });

  it.each<[string, string, (client: Socket) => void]>([
    ['tcp-echo', 'the echo differs', (client) => client.on('data', (chunk) => client.write(flip(chunk)))],
    ['tcp-echo', 'more came back than was sent', (client) => client.on('data', () => client.write(Buffer.alloc(1001)))],
    ['tcp-echo', 'the server closed an echo connection', (client) => client.on('data', () => client.end())],
    ['bulk-echo', 'the echo differs', (client) => client.on('data', (chunk) => client.write(flip(chunk)))],
    ['daytime', 'the answer is wrong', (client) => client.end('Sunday, November 22, 1987\r\n')],
    ['daytime', 'the answer is wrong', (client) => client.end(`${new Date().toUTCString()}\t\r\n`)],
    ['daytime', 'no answer before the end', (client) => client.end()],
    ['time', 'the answer is wrong', (client) => client.end(now().subarray(0, 3))],
    ['time', 'the answer is wrong', (client) => client.end(Buffer.alloc(4))],
    ['chargen', 'the pattern differs', (client) => void client.write(characters.replaceAll('x', 'y'))],
  ])('notices a wrong %s server: %s', async (kind, error, handle) => {
    const { sample, complaints } = await run(kind, await serve(handle));
    // Many errors end it, a few it counts.
    expect(complaints + (sample?.lastError ?? '')).toContain(error);
  });

  it('counts the answers of a right UDP server', async () => {
    const { end, sample } = await run('udp-echo', await serveDatagrams((message, send) => send(message)));
    expect(end.code).toBe(0);
    expect(sample).toMatchObject({ errors: 0, lost: 0 });
  });

  it('sends a lost datagram again, and counts it', async () => {
    let count = 0;
    const port = await serveDatagrams((message, send) => {
      count += 1;
      // The first of each client is answered before the load begins.
      if (count !== 10) send(message);
    });
    expect((await run('udp-echo', port)).sample).toMatchObject({ errors: 0, lost: 1 });
  });

  it('gives up a server that answers no more', async () => {
    let count = 0;
    const port = await serveDatagrams((message, send) => {
      count += 1;
      if (count < 10) send(message);
    });
    const { end, sample } = await run('udp-echo', port);
    expect(end.code).toBe(0);
    expect(sample).toMatchObject({ errors: 0, operations: 5 });
    expect(sample?.lost).toBeGreaterThan(4);
  });

  it.each([
    ['ignores an earlier answer', true, 0],
    ['notices the answer of another client', false, 1],
  ])('%s', async (_, isOwn, errors) => {
    const first = new Map<number, Buffer>();
    let isSent = false;
    const port = await serveDatagrams((message, send) => {
      const client = message.readUInt32LE(8);
      const stray = first.get(isOwn ? client : (client + 1) % 4);
      // Once all have been answered, and before the right answer.
      if (!isSent && first.size === 4 && stray !== undefined && first.get(client)?.equals(message) === false) {
        isSent = true;
        send(stray);
      }
      if (!first.has(client)) first.set(client, Buffer.from(message));
      send(message);
    });
    const { sample } = await run('udp-echo', port);
    expect(isSent).toBe(true);
    expect(sample).toMatchObject({ errors, lost: 0 });
  });

  it('notices a wrong datagram', async () => {
    const port = await serveDatagrams((message, send) => send(flip(message)));
    const { sample, complaints } = await run('udp-echo', port);
    expect(complaints + (sample?.lastError ?? '')).toContain('the echo differs');
  });
});
