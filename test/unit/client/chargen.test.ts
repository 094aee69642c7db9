import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Chargen, type ChargenOptions, chargen } from '../../../src/client/chargen.ts';
import { patternPieces } from '../../../src/client/chargen-pattern.ts';
import type { Transfer } from '../../../src/client/transfer.ts';
import { systemClock } from '../../../src/clock/clock.ts';
import { serve } from '../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../support/ports.ts';

async function smallservd(): Promise<string> {
  const daemon = await serve({ chargen: { listen: ['tcp://127.0.0.1:0'] } });
  const { host, port } = daemon.target('chargen', 'tcp');
  return `${host}:${port}`;
}

function pattern(length: number): Buffer {
  return Buffer.concat([...patternPieces(length)]);
}

/** What came, beside the result. */
async function collect(host: string, options: ChargenOptions): Promise<{ text: string; result: Chargen }> {
  let text = '';
  const onBytes = async (bytes: Uint8Array): Promise<void> => {
    text += Buffer.from(bytes).toString('latin1');
  };
  return { result: await chargen(host, { onBytes, ...options }), text };
}

describe('chargen against smallservd', () => {
  test.each([
    [{}, 740],
    [{ lines: 1 }, 74],
    [{ lines: 2000 }, 148_000],
    [{ bytes: 1 }, 1],
    [{ bytes: 75 }, 75],
    [{ bytes: 1_000_000 }, 1_000_000],
  ])('with %j receives %i bytes of the pattern', async (amount, bytes) => {
    const { text, result } = await collect(await smallservd(), { ...amount, verify: true });
    expect(text).toBe(pattern(bytes).toString('latin1'));
    expect(result).toMatchObject({ bytes, end: 'enough', deviation: undefined });
    expect(result.bytesPerSecond).toBeCloseTo((bytes / result.elapsedMs) * 1000, 3);
  });

  test('receives one datagram over UDP', async () => {
    const daemon = await serve({ chargen: { listen: ['udp://127.0.0.1:0'] } });
    const { host, port } = daemon.target('chargen', 'udp');
    const { text, result } = await collect(`${host}:${port}`, { udp: true, verify: true });
    expect(text).toBe(pattern(text.length).toString('latin1'));
    expect(result).toMatchObject({ bytes: text.length, end: 'enough', peer: { address: host, port } });
  });
});

describe('chargen against a server that sends something else', () => {
  test('reports the first byte that deviates', async () => {
    const bytes = pattern(100_000);
    bytes[70_000] = 0;
    const host = await answerTcp(bytes);
    const { result } = await collect(host, { bytes: 100_000, verify: true });
    expect(result.end).toBe('deviation');
    expect(result.deviation).toEqual({ offset: 70_000, expected: pattern(70_001)[70_000], got: 0 });
  });

  test('reports no deviation without verify', async () => {
    const { text, result } = await collect(await answerTcp('one\ntwo\nthree\n'), { lines: 2 });
    expect(text).toBe('one\ntwo\n');
    expect(result).toMatchObject({ end: 'enough', deviation: undefined });
  });

  test('ends with a line that does not end, unless bytes were requested', async () => {
    const host = await answerTcp(`first\n${'x'.repeat(200_000)}\n`);
    const { text, result } = await collect(host, {});
    expect(result.end).toBe('endless-line');
    expect(text).toMatch(/^first\nx{65537,}$/);
    expect((await collect(host, { bytes: 150_000 })).result).toMatchObject({ bytes: 150_000, end: 'enough' });
  });

  test('counts the length of each line by itself', async () => {
    const lines = `${'x'.repeat(65_535)}\n`.repeat(10);
    const { result } = await collect(await answerTcp(lines), {});
    expect(result).toMatchObject({ bytes: lines.length, end: 'enough' });
  });

  test('verifies a datagram over UDP', async () => {
    const host = await answerUdp(() => [pattern(1024)]);
    const { result } = await collect(host, { udp: true, verify: true });
    expect(result).toMatchObject({ bytes: 1024, end: 'deviation', deviation: { offset: 512, expected: undefined } });
    expect((await collect(host, { udp: true })).result).toMatchObject({ bytes: 1024, end: 'enough' });
  });

  test('accepts an empty datagram', async () => {
    const { result } = await collect(await answerUdp(() => ['']), { udp: true, verify: true });
    expect(result).toMatchObject({ bytes: 0, end: 'enough' });
  });
});

describe('a stream that ends early', () => {
  test('is finished after a FIN', async () => {
    const { text, result } = await collect(await answerTcp(pattern(100)), {});
    expect(text.length).toBe(100);
    expect(result).toMatchObject({ bytes: 100, end: 'finished' });
  });

  test('is reported as reset after a reset', async () => {
    let client: Socket | undefined;
    const host = await serveTcp((socket) => {
      client = socket;
      socket.write(pattern(100));
    });
    const result = await chargen(host, { onBytes: async () => void client?.resetAndDestroy() });
    expect(result).toMatchObject({ bytes: 100, end: 'reset' });
  });

  test('times out if the server goes silent', async () => {
    const host = await serveTcp((socket) => void socket.write(pattern(100)));
    expect(await chargen(host, { timeoutMs: 100 })).toMatchObject({ bytes: 100, end: 'timeout' });
  });

  test('is interrupted by the signal', async () => {
    const abort = new AbortController();
    const result = await chargen(await smallservd(), {
      bytes: 2 ** 40,
      signal: abort.signal,
      onBytes: async () => abort.abort(),
    });
    expect(result.end).toBe('interrupted');
    expect(result.bytes).toBeGreaterThan(0);
  });

  test('is interrupted by the signal while onBytes is pending', async () => {
    const abort = new AbortController();
    const result = await chargen(await smallservd(), {
      bytes: 2 ** 40,
      signal: abort.signal,
      onBytes: async () => {
        setImmediate(() => abort.abort());
        return new Promise(() => {});
      },
    });
    expect(result.end).toBe('interrupted');
  });

  test('is an error if nothing has arrived', async () => {
    await expect(chargen(await answerTcp(''))).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      message: expect.stringMatching(/closed without sending anything$/),
    });
    const silent = await serveTcp(() => {});
    await expect(chargen(silent, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'NO_ANSWER' });
    await expect(chargen(`127.0.0.1:${await freePort()}`)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    const udp = `127.0.0.1:${await takeUdpPort()}`;
    await expect(chargen(udp, { udp: true, timeoutMs: 50 })).rejects.toMatchObject({ code: 'NO_ANSWER' });
  });
});

test('reports progress during the transfer', async () => {
  const told: Transfer[] = [];
  let tick: (() => void) | undefined;
  const clock = {
    ...systemClock,
    every(_ms: number, task: () => void) {
      tick = task;
      return () => {};
    },
  };
  await chargen(await smallservd(), {
    bytes: 200_000,
    clock,
    onBytes: async () => tick?.(),
    onProgress: (transfer) => told.push(transfer),
  });
  expect(told.length).toBeGreaterThan(1);
  expect(told.at(-1)?.bytes).toBe(200_000);
});

test.each([{ bytes: 1, lines: 1 }, { udp: true, bytes: 1 }, { udp: true, lines: 1 }, { bytes: 0 }, { lines: 0.5 }])(
  'rejects %j',
  async (options) => {
    await expect(chargen('127.0.0.1', options)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  },
);
