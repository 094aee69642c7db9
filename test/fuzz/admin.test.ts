import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Cancel } from '../../src/clock/clock.ts';
import { AdminServer } from '../../src/server/admin/server.ts';
import { pageSource } from '../unit/server/admin/live.ts';
import { snapshot } from '../unit/server/admin/snapshot.ts';
import { temporaryDirectory } from '../support/daemon-process.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until, within } from '../support/wait.ts';

/** What one client does: writes pieces, each after a turn of the event loop or at once, and goes. */
interface Script {
  readonly pieces: readonly { readonly bytes: Uint8Array; readonly atOnce: boolean }[];
  /**
   * `finish`: sends FIN and reads to the end. `leave`: closes its socket. `reset`: sends RST. `stalled-reset`: reads
   * nothing, then RST.
   */
  readonly end: 'finish' | 'leave' | 'reset' | 'stalled-reset';
}

type Where = { readonly host: string; readonly port: number } | { readonly path: string };

const words = fc
  .constantFrom(
    'GET /livez HTTP/1.1\r\nHost: a\r\n',
    'GET /config HTTP/1.0\r\nHost: 127.0.0.1\r\n',
    'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n',
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n',
    'Upgrade: h2c\r\nConnection: upgrade\r\n',
    'Expect: 100-continue\r\n',
    'Transfer-Encoding: chunked\r\n',
    '\r\n',
    '\n',
    'x: y\r\n'.repeat(120),
    'x'.repeat(9000),
    // More than a socket's buffers take at once.
    '\r\n\r\n'.repeat(100_000),
  )
  .map((text) => Buffer.from(text));
const piece = fc.record({ bytes: fc.oneof(words, fc.uint8Array({ maxLength: 300 })), atOnce: fc.boolean() });
const script: fc.Arbitrary<Script> = fc.record({
  pieces: fc.array(piece, { maxLength: 6 }),
  end: fc.constantFrom('finish', 'leave', 'reset', 'stalled-reset'),
});
/** An open page, which its client may close at any time. */
const page: fc.Arbitrary<Script> = script.map(({ end }) => ({
  pieces: [{ bytes: Buffer.from('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'), atOnce: true }],
  end,
}));
const probe: Script = {
  pieces: [{ bytes: Buffer.from('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'), atOnce: true }],
  end: 'finish',
};

/** Time stands still, except that the turns of long answers come. */
class ClockOfTurns extends FakeClock {
  override after(ms: number, task: () => void): Cancel {
    if (ms > 1) return super.after(ms, task);
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  }
}

describe.each(['tcp', 'unix'] as const)('%s', (transport) => {
  test('every client that sends something and finishes gets exactly one answer', async () => {
    const { where, isIdle } = await serve(transport);
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 24 }), async (clients) => {
        const answers = await Promise.all(clients.map((client) => play(where, client)));
        for (const [index, { pieces, end }] of clients.entries()) {
          const said = Buffer.concat(pieces.map(({ bytes }) => bytes));
          if (end !== 'finish' || /^(\r?\n)?$/.test(said.toString('latin1'))) continue;
          expect(answers[index]).toMatch(/^HTTP\/1\.1 (200|400|404|405|417|421|431) [^]*\r\n\r\n[^]*\n$/);
          expect(answers[index]?.split('\r\nContent-Length: ')).toHaveLength(2);
        }
        await until(isIdle, 'the end of all connections, and of what waits for them');
      }),
      { numRuns: 40 },
    );
  });

  test('a probe is answered whatever other clients do', async () => {
    const { where, isIdle } = await serve(transport);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(script, page), { minLength: 25, maxLength: 60 }), async (clients) => {
        const others = clients.map((client) => play(where, client));
        expect(await play(where, probe)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok\n$/);
        await Promise.all(others);
        await until(isIdle, 'the end of all connections, and of what waits for them');
      }),
      { numRuns: 15 },
    );
  });
});

async function serve(transport: 'tcp' | 'unix'): Promise<{ readonly where: Where; readonly isIdle: () => boolean }> {
  const clock = new ClockOfTurns();
  // More than the buffers of a socket take while its reader takes nothing.
  const config = 'x'.repeat(2 ** 20);
  const server = new AdminServer(
    { ...pageSource, snapshot: async () => snapshot(), config: async () => config },
    [],
    clock,
  );
  const path = join(temporaryDirectory(), 'admin.sock');
  await server.open(transport === 'unix' ? { path } : { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  const where = transport === 'unix' ? { path } : { host: '127.0.0.1', port: server.port ?? 0 };
  return { where, isIdle: () => server.clients === 0 && clock.waiting === 0 };
}

/** Plays a client's part to the end of its connection: what it has read. */
async function play(where: Where, { pieces, end }: Script): Promise<string> {
  const socket = connect({ ...where, allowHalfOpen: true });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const ended = new Promise<void>((resolve) => socket.once('end', resolve));
  // A reset, or a place that somebody else needed.
  socket.on('error', () => {});
  const chunks: Buffer[] = [];
  if (end !== 'stalled-reset') socket.on('data', (chunk) => chunks.push(chunk));
  for (const { bytes, atOnce } of pieces) {
    socket.write(bytes);
    if (!atOnce) await new Promise(setImmediate);
  }
  if (end === 'finish') {
    socket.end();
    await within(Promise.race([ended, closed]), 'the end of the answer');
  }
  go(socket, end);
  await within(closed, 'the end of the connection');
  return Buffer.concat(chunks).toString('latin1');
}

function go(socket: Socket, end: Script['end']): void {
  // Of a UNIX socket there is no reset: it closes.
  if (end === 'finish' || end === 'leave' || socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
