import * as fc from 'fast-check';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Echoed, echo, type EchoPipeOptions } from '../../../src/client/echo.ts';
import { seededRandom } from '../server/guard/fixtures.ts';
import { hasIpv6, serve } from '../../support/daemon.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fakeTcpServer, fakeUdpServer } from '../../support/fake-servers.ts';
import { freePort } from '../../support/ports.ts';
import { until, within } from '../../support/wait.ts';

const addresses = hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

function bytesOf(length: number): Buffer {
  const random = seededRandom(length);
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** Input that comes when the test gives it. */
class Input implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  #isEnded = false;
  #changed: () => void = () => {};

  give(text: string): void {
    this.#chunks.push(Buffer.from(text));
    this.#changed();
  }

  end(): void {
    this.#isEnded = true;
    this.#changed();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#isEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
    }
  }
}

/** Input that has begun and does not end. */
function typed(text: string): Input {
  const input = new Input();
  input.give(text);
  return input;
}

/** A pipe, with what has come out of it. */
class Pipe {
  readonly result: Promise<Echoed>;
  output = '';

  constructor(host: string, input: AsyncIterable<Uint8Array> | string, options: EchoPipeOptions = {}) {
    const deliver = (bytes: Uint8Array): void => {
      this.output += Buffer.from(bytes).toString('latin1');
    };
    const chunks = typeof input === 'string' ? inChunks(Buffer.from(input)) : input;
    this.result = within(echo(host, chunks, deliver, options), 'the end of the pipe');
    this.result.catch(() => {});
  }

  async says(text: string): Promise<void> {
    await until(() => this.output === text, `${JSON.stringify(text)} instead of ${JSON.stringify(this.output)}`);
  }
}

async function* inChunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array, void> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

/** A server that answers the whole of what it got, made into something else. */
async function answering(change: (all: Buffer) => Uint8Array): Promise<string> {
  const { name } = await fakeTcpServer((client) => {
    const chunks: Buffer[] = [];
    client.on('data', (chunk) => chunks.push(chunk));
    client.on('end', () => client.end(change(Buffer.concat(chunks))));
  });
  return name;
}

/** Input that fails. */
async function* broken(): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from('x');
  throw new Error('the disk is gone');
}

describe('echo against smallservd', () => {
  for (const address of addresses) {
    const inUrl = address.includes(':') ? `[${address}]` : address;
    const listen = [`tcp://${inUrl}:0`, `udp://${inUrl}:0`];

    it.each([
      ['tcp', 0],
      ['tcp', 1],
      ['tcp', 3_000_000],
      ['udp', 0],
      ['udp', 1],
      ['udp', 100_000],
    ] as const)(`gets back everything it sends to ${address} (%s, %i bytes)`, async (protocol, length) => {
      const daemon = await serve({ echo: { listen } });
      const { port } = daemon.target('echo', protocol, address);
      const bytes = bytesOf(length);
      const pipe = new Pipe(`${inUrl}:${port}`, inChunks(bytes), { udp: protocol === 'udp' });
      expect(await pipe.result).toEqual({ peer: { address, port }, bytes: length });
      expect(Buffer.from(pipe.output, 'latin1').equals(bytes)).toBe(true);
    });
  }

  it('splits UDP input into datagrams', async () => {
    const sizes: number[] = [];
    const { name } = await fakeUdpServer((request, reply) => {
      sizes.push(request.length);
      reply(request);
    });
    await new Pipe(name, 'x'.repeat(1000), { udp: true }).result;
    await new Pipe(name, 'x'.repeat(700), { udp: true, sizeBytes: 300 }).result;
    expect(sizes).toEqual([512, 488, 300, 300, 100]);
  });
});

it('accepts answers split at other places than the input', async () => {
  let sizes: readonly number[] = [];
  const { name } = await fakeTcpServer((client) => {
    let turn = 0;
    client.on('data', (chunk) => {
      for (let start = 0; start < chunk.length; ) {
        const size = sizes[turn % sizes.length] ?? 1;
        turn += 1;
        client.write(chunk.subarray(start, start + size));
        start += size;
      }
    });
    client.on('end', () => client.end());
  });
  const size = fc.integer({ min: 1, max: 50 });
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 500 }),
      size,
      fc.array(size, { minLength: 1 }),
      async (bytes, out, back) => {
        sizes = back;
        const pipe = new Pipe(name, inChunks(bytes, out));
        expect((await pipe.result).bytes).toBe(bytes.length);
        expect(Buffer.from(pipe.output, 'latin1').equals(bytes)).toBe(true);
      },
    ),
    { numRuns: 30 },
  );
});

describe('echo over TCP', () => {
  it('reports the first byte that differs', async () => {
    const host = await answering((all) => Buffer.from(all.toString().replace('l', 'L')));
    const pipe = new Pipe(host, 'hello');
    await expect(pipe.result).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      exitCode: 1,
      message: `${host}: what came back differs from what was sent, from offset 2 on`,
    });
    expect(pipe.output).toBe('heLlo');
  });

  it('reports extra bytes', async () => {
    const host = await answering((all) => Buffer.concat([all, Buffer.from('!')]));
    await expect(new Pipe(host, 'hello').result).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      message: expect.stringMatching(/from offset 5 on$/) as string,
    });
  });

  it('reports missing bytes', async () => {
    const host = await answering((all) => all.subarray(0, 3));
    const pipe = new Pipe(host, 'hello');
    await expect(pipe.result).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      message: `${host} closed the connection: 2 of 5 bytes did not come back`,
    });
    expect(pipe.output).toBe('hel');
  });

  it('reports a reset and the number of bytes lost', async () => {
    const { name } = await fakeTcpServer((client) => {
      // Node takes a reset that comes together with bytes for a FIN.
      client.once('data', () => client.resetAndDestroy());
    });
    await expect(new Pipe(name, typed('hello')).result).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      message: expect.stringMatching(/connection reset; 5 of 5 bytes did not come back$/) as string,
    });
  });

  it('reports a peer that closes before all input is sent', async () => {
    const { name } = await fakeTcpServer((client) => {
      client.once('data', (chunk) => client.end(chunk));
    });
    const pipe = new Pipe(name, typed('hello'));
    await expect(pipe.result).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      message: `${name} closed the connection`,
    });
    expect(pipe.output).toBe('hello');
  });

  it('times out only while an answer is outstanding', async () => {
    const clock = new FakeClock();
    const clients: Socket[] = [];
    const { name } = await fakeTcpServer((client) => {
      clients.push(client);
      client.on('data', (chunk) => chunk.toString() !== 'lost' && client.write(chunk));
    });
    const input = new Input();
    const pipe = new Pipe(name, input, { clock });
    input.give('one');
    await pipe.says('one');
    clock.advance(3_600_000);
    input.give('two');
    await pipe.says('onetwo');
    clock.advance(4999);
    input.give('lost');
    await until(() => (clients[0]?.bytesRead ?? 0) === 10, 'what will be lost');
    let isOver = false;
    pipe.result.finally(() => (isOver = true)).catch(() => {});
    // From the last thing sent, not from the last that came.
    clock.advance(4999);
    await new Promise(setImmediate);
    expect(isOver).toBe(false);
    await until(() => {
      clock.advance(1);
      return isOver;
    }, 'the end of the patience');
    await expect(pipe.result).rejects.toMatchObject({
      code: 'NO_ANSWER',
      message: `${name}: 4 of 10 bytes did not come back within 5s`,
    });
  });

  it('reports a peer that does not close after our FIN', async () => {
    const { name } = await fakeTcpServer((client) => client.on('data', (chunk) => client.write(chunk)));
    await expect(new Pipe(name, 'x', { timeoutMs: 100 }).result).rejects.toMatchObject({
      code: 'NO_ANSWER',
      message: `${name}: all bytes came back, but the connection was not closed within 100ms`,
    });
  });

  it('stops reading input when buffers are full, and waits for a slow consumer', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0'] } });
    const { port } = daemon.target('echo', 'tcp');
    const total = 64 * 1024 * 1024;
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    let taken = 0;
    async function* input(): AsyncGenerator<Uint8Array, void> {
      for (; taken < total; taken += chunk.length) yield chunk;
    }
    const clock = new FakeClock();
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld = false;
    let delivered = 0;
    const deliver = async (bytes: Uint8Array): Promise<void> => {
      isHeld = true;
      await held;
      delivered += bytes.length;
    };
    const result = within(echo(`127.0.0.1:${port}`, input(), deliver, { clock }), 'all of it');
    await until(() => isHeld, 'the first that comes back');
    let before = -1;
    await until(() => {
      // It is at a stand where a turn brings nothing; however long that lasts, it is no fault of the peer.
      clock.advance(60_000);
      const isStill = taken === before;
      before = taken;
      return isStill;
    }, 'a stand-still');
    expect(taken).toBeLessThan(total / 2);
    release?.();
    expect((await result).bytes).toBe(total);
    expect(delivered).toBe(total);
  });

  it('limits memory if the peer reads everything and answers nothing', async () => {
    const clock = new FakeClock();
    const mebibyte = 1024 * 1024;
    let arrived = 0;
    const { name } = await fakeTcpServer((client) => {
      client.on('data', (bytes) => {
        arrived += bytes.length;
      });
    });
    const result = echo(name, inChunks(Buffer.alloc(32 * mebibyte), mebibyte), () => {}, { clock });
    result.catch(() => {});
    await until(() => arrived === 16 * mebibyte, '16 MiB');
    clock.advance(5000);
    await expect(within(result, 'the end')).rejects.toMatchObject({
      code: 'NO_ANSWER',
      message: `${name}: ${16 * mebibyte} of ${16 * mebibyte} bytes did not come back within 5s`,
    });
  });

  it('is interrupted by the signal while it waits for input or output', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0'] } });
    const { port } = daemon.target('echo', 'tcp');
    const waits = new AbortController();
    const input = new Input();
    const idle = new Pipe(`127.0.0.1:${port}`, input, { signal: waits.signal });
    input.give('x');
    await idle.says('x');
    waits.abort();
    await expect(idle.result).rejects.toMatchObject({ code: 'INTERRUPTED' });

    const full = new AbortController();
    const never = new Promise<void>(() => {});
    const deliver = async (): Promise<void> => {
      full.abort();
      await never;
    };
    const stuck = echo(`127.0.0.1:${port}`, inChunks(Buffer.from('x')), deliver, { signal: full.signal });
    await expect(within(stuck, 'the end')).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('rethrows errors from the input', async () => {
    const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
    for (const protocol of ['tcp', 'udp'] as const) {
      const { port } = daemon.target('echo', protocol);
      const pipe = new Pipe(`127.0.0.1:${port}`, broken(), { udp: protocol === 'udp' });
      await expect(pipe.result).rejects.toThrow('the disk is gone');
    }
  });
});

describe('echo over UDP', () => {
  it('resends a lost datagram', async () => {
    const clock = new FakeClock();
    let requests = 0;
    const { name } = await fakeUdpServer((request, reply) => {
      requests += 1;
      if (requests % 2 === 0) reply(request);
    });
    const pipe = new Pipe(name, 'ab', { udp: true, sizeBytes: 1, clock });
    for (const lost of [1, 3]) {
      await until(() => requests === lost, `request ${lost}`);
      clock.advance(1000);
    }
    expect((await pipe.result).bytes).toBe(2);
    expect(pipe.output).toBe('ab');
  });

  it('ignores a duplicate answer', async () => {
    const { name } = await fakeUdpServer((request, reply) => {
      reply(request);
      reply(request);
    });
    const pipe = new Pipe(name, 'abcdef', { udp: true, sizeBytes: 1 });
    await pipe.result;
    expect(pipe.output).toBe('abcdef');
  });

  it('reports the first byte that differs', async () => {
    const { name } = await fakeUdpServer((request, reply) => reply(request.toString() === 'ef' ? 'eF' : request));
    const pipe = new Pipe(name, 'abcdef', { udp: true, sizeBytes: 2 });
    await expect(pipe.result).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      message: expect.stringMatching(/from offset 5 on$/) as string,
    });
    expect(pipe.output).toBe('abcdeF');
  });

  it('reports a truncated datagram', async () => {
    const { name } = await fakeUdpServer((request, reply) => reply(request.subarray(0, 3)));
    await expect(new Pipe(name, 'abcdef', { udp: true }).result).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      message: expect.stringMatching(/from offset 3 on$/) as string,
    });
  });

  it('gives up on a silent peer after five attempts', async () => {
    const clock = new FakeClock();
    let requests = 0;
    const { name } = await fakeUdpServer(() => void (requests += 1));
    const pipe = new Pipe(name, 'abc', { udp: true, clock });
    for (let sent = 1; sent <= 5; sent++) {
      await until(() => requests === sent, `request ${sent}`);
      clock.advance(1000);
    }
    await expect(pipe.result).rejects.toMatchObject({
      code: 'NO_ANSWER',
      message: `${name} is silent over UDP: the datagram at offset 0, sent 5 times, did not come back within 5s`,
    });
  });

  it('reports an unreachable port, both at first and after an answer', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    await expect(new Pipe(host, 'x', { udp: true }).result).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      exitCode: 2,
    });
    const server = createSocket('udp4').bind(0, '127.0.0.1');
    await once(server, 'listening');
    let isOpen = true;
    const close = (): void => {
      if (isOpen) server.close();
      isOpen = false;
    };
    onTestFinished(close);
    server.on('message', (request, { port, address }) => server.send(request, port, address));
    const input = new Input();
    const pipe = new Pipe(`127.0.0.1:${server.address().port}`, input, { udp: true });
    input.give('one');
    await pipe.says('one');
    close();
    input.give('two');
    await expect(pipe.result).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      outcome: 'refused',
      message: expect.stringMatching(/refused by 127\.0\.0\.1 \(port unreachable\)$/) as string,
    });
  });

  it('is interrupted by the signal while it waits for input', async () => {
    const { name } = await fakeUdpServer((request, reply) => reply(request));
    const abort = new AbortController();
    const input = new Input();
    const pipe = new Pipe(name, input, { udp: true, signal: abort.signal });
    input.give('x');
    await pipe.says('x');
    abort.abort();
    await expect(pipe.result).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

it.each([
  [{ udp: true, sizeBytes: 0 }, 'the size of a datagram is 0'],
  [{ udp: true, sizeBytes: 65_508 }, 'the size is 65508 bytes: 127.0.0.1 takes at most 65507'],
  [{ keepAliveMs: 500 }, 'the keepalive delay in milliseconds is 500'],
  [{ udp: true, keepAliveMs: 5000 }, '--keepalive needs TCP'],
])('rejects %j', async (options, message) => {
  await expect(new Pipe('127.0.0.1:7', 'x', options).result).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
    message: expect.stringContaining(message) as string,
  });
});

it('fails if the port is closed', async () => {
  const host = `127.0.0.1:${await freePort()}`;
  await expect(new Pipe(host, 'x').result).rejects.toMatchObject({ code: 'CONNECT_FAILED', exitCode: 2 });
});
