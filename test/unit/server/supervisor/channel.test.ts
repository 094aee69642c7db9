import { spawn } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { root } from '../../../support/daemon-process.ts';
import { Channel, takeOnlyBytesOf } from '../../../../src/server/supervisor/channel.ts';

const unlimited = { burst: Infinity, perSecond: Infinity };

/** Feeds chunks to a channel; what was heard of them, and what was found wrong. */
async function feed(chunks: readonly Buffer[], limits = {}, nowMs = (): number => 0): Promise<unknown[]> {
  const socket = new PassThrough();
  const heard: unknown[] = [];
  const closed = new Promise<void>((resolve) => {
    const handlers = {
      heard(message: unknown) {
        heard.push(message);
        return message === 'wrong' ? 'found wrong' : undefined;
      },
      failed: (fault: string) => heard.push({ fault }),
      closed: resolve,
    };
    void new Channel(
      socket,
      { maxMessageBytes: 1000, messages: { burst: 100, perSecond: 100 }, bytes: unlimited, ...limits },
      nowMs,
      handlers,
    );
  });
  for (const chunk of chunks) socket.write(chunk);
  socket.end();
  await closed;
  return heard;
}

describe('Channel', () => {
  it('delivers complete messages regardless of chunk boundaries', async () => {
    const message = fc.jsonValue({ maxDepth: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { maxLength: 20 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
        async (sent, sizes) => {
          const bytes = Buffer.from(sent.map((each) => `${JSON.stringify(each)}\n`).join(''));
          const chunks: Buffer[] = [];
          for (let at = 0; at < bytes.length; ) {
            const size = Number(sizes.next().value);
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          expect(await feed(chunks, { maxMessageBytes: 1_000_000 })).toEqual(JSON.parse(JSON.stringify(sent)));
        },
      ),
    );
  });

  it('stops reading after a message too long, not JSON or over the rate limit', async () => {
    const ok = Buffer.from('1\n');
    const tooLong = { fault: 'a message of more than 1000 bytes' };
    expect(await feed([ok, Buffer.from(`"${'x'.repeat(998)}"\n`), ok])).toEqual([1, 'x'.repeat(998), 1]);
    expect(await feed([ok, Buffer.from(`"${'x'.repeat(999)}"\n`), ok])).toEqual([1, tooLong]);
    // Without an end of line, too: what is held is bounded.
    expect(await feed([ok, ...Array.from({ length: 11 }, () => Buffer.alloc(100, 'x')), ok])).toEqual([1, tooLong]);
    expect(await feed([ok, Buffer.from('{]\n'), ok])).toEqual([1, { fault: 'a message that is not JSON' }]);
    expect(await feed([ok, Buffer.from('"wrong"\n1\n'), ok])).toEqual([1, 'wrong', { fault: 'found wrong' }]);
    const many = Array.from({ length: 101 }, () => ok);
    expect((await feed([...many, ok])).slice(99)).toEqual([
      1,
      { fault: 'more than 100 messages at once, or 100 a second' },
    ]);
    // White space is no message, and has to be read all the same.
    const padded = Buffer.from(`${' '.repeat(98)}1\n`);
    const bytes = { bytes: { burst: 800, perSecond: 9 } };
    const tooMuch = { fault: 'more than 800 bytes at once, or 9 a second' };
    expect(await feed([padded, padded, padded], bytes)).toEqual([1, 1, tooMuch]);
  });

  it('counts a cost for each read, so single bytes cannot keep it busy', async () => {
    const single = Array.from({ length: 4 }, () => Buffer.from(' '));
    const bytes = { bytes: { burst: 1000, perSecond: 9 } };
    expect(await feed(single, bytes)).toEqual([{ fault: 'more than 1000 bytes at once, or 9 a second' }]);
    expect(await feed(single.slice(1), bytes)).toEqual([]);
  });

  it('keeps no piece of an incomplete line, only a copy of its bytes', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heapBytes = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const socket = new PassThrough();
    const heard: unknown[] = [];
    const handlers = { heard: (message: unknown) => void heard.push(message), failed() {}, closed() {} };
    const limits = { maxMessageBytes: 200_000, messages: unlimited, bytes: unlimited };
    void new Channel(socket, limits, () => 0, handlers);
    const before = heapBytes();
    socket.write('"');
    for (let count = 0; count < 100_000; count += 1) {
      socket.write('x');
      if (count % 1000 === 0) await setImmediate();
    }
    await setImmediate();
    // A piece that is kept takes about 100 bytes of the heap.
    expect(heapBytes() - before).toBeLessThan(3_000_000);
    socket.end('"\n');
    await finished(socket);
    expect(heard).toEqual(['x'.repeat(100_000)]);
  });

  it('counts messages per second', async () => {
    let ms = 0;
    const clock = (): number => (ms += 10);
    expect(
      await feed(
        Array.from({ length: 1000 }, () => Buffer.from('1\n')),
        {},
        clock,
      ),
    ).toHaveLength(1000);
  });

  it('never throws on arbitrary bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 50 })), async (chunks) => {
        await feed(chunks.map((chunk) => Buffer.from(chunk)));
      }),
    );
  });
});

describe('takeOnlyBytesOf', () => {
  it('has urgent bytes of a child arrive in their place, where a pace counts them', async () => {
    const script = `
      import koffi from 'koffi';
      const send = koffi.load(null).func('long send(int, const char *, size_t, int)');
      for (const descriptor of [1, 2]) {
        for (const byte of 'all of these') send(descriptor, byte, 1, ${MSG_OOB});
        send(descriptor, '.', 1, 0);
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd: root });
    const texts = [child.stdout, child.stderr].map(async (stream) => {
      takeOnlyBytesOf(stream);
      let text = '';
      for await (const part of stream.setEncoding('utf8')) text += String(part);
      return text;
    });
    expect(await Promise.all(texts)).toEqual(['all of these.', 'all of these.']);
  });
});

/** See bits/socket.h. */
const MSG_OOB = 1;
