import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { until, within } from '../support/wait.ts';
import { type AnsweringService, streamServices, enough } from './answers.ts';
import { type CountedDaemon, serveCounted } from './counted-daemon.ts';

/** What one client does: writes pieces, each after a turn of the event loop or at once, and goes. */
interface Script {
  readonly pieces: readonly { readonly bytes: Uint8Array; readonly atOnce: boolean }[];
  /**
   * `finish`: sends FIN and reads to the end. `leave`: closes its socket, whatever is unread. `reset`: sends RST.
   * `finish-reset`: FIN, RST behind it. `stalled-reset`: reads nothing, then RST.
   */
  readonly end: 'finish' | 'leave' | 'reset' | 'finish-reset' | 'stalled-reset';
}

const piece = fc.record({
  bytes: fc.oneof(
    { arbitrary: fc.uint8Array({ maxLength: 300 }), weight: 8 },
    // More than a socket's buffers take at once.
    {
      arbitrary: fc.tuple(fc.nat(400_000), fc.nat(255)).map(([length, byte]) => new Uint8Array(length).fill(byte)),
      weight: 1,
    },
  ),
  atOnce: fc.boolean(),
});
const script: fc.Arbitrary<Script> = fc.record({
  pieces: fc.array(piece, { maxLength: 6 }),
  end: fc.oneof(
    { arbitrary: fc.constant('finish' as const), weight: 3 },
    { arbitrary: fc.constantFrom('leave', 'reset', 'finish-reset', 'stalled-reset'), weight: 4 },
  ),
});
const scripts = fc.array(script, { minLength: 1, maxLength: 6 });

/** All UNIX clients are one source, which none of the networks in `exempt` holds. */
const limits = { maxConnectionsPerSource: 1000, connectionRate: { perSecond: 1_000_000, burst: 1_000_000 } };

/** A client that behaves: it sends, reads and finishes. */
const regular: Script = { pieces: [{ bytes: Buffer.from('is it there?\r\n'), atOnce: true }], end: 'finish' };

describe.each(['tcp', 'unix'] as const)('%s', (transport) => {
  test.each(streamServices)('$service handles arbitrary input and every kind of disconnect', async (each) => {
    const daemon = await serveCounted(each.service, { ...limits, ...each.keys });
    await fc.assert(
      fc.asyncProperty(scripts, async (clients) => {
        await Promise.all(clients.map((client) => play(daemon, transport, each, client)));
        await play(daemon, transport, each, regular);
      }),
      { numRuns: each.ends ? 50 : 12 },
    );
    await allAreGone(daemon);
    expectCounted(daemon);
  });

  test('echo and discard count every byte of clients that finish', async () => {
    for (const each of streamServices.slice(0, 2)) {
      const daemon = await serveCounted(each.service, limits);
      let sent = 0;
      await fc.assert(
        fc.asyncProperty(scripts, async (clients) => {
          const finishing = clients.map(({ pieces }) => ({ pieces, end: 'finish' as const }));
          await Promise.all(finishing.map((client) => play(daemon, transport, each, client)));
          sent += finishing.reduce((sum, client) => sum + bytesOf(client).length, 0);
          await allAreGone(daemon);
          const { bytesIn, bytesOut, accepted, closed } = daemon.counters().stream;
          expect({ bytesIn, bytesOut }).toEqual({ bytesIn: sent, bytesOut: each.service === 'echo' ? sent : 0 });
          expect(closed.completed).toBe(accepted);
        }),
        { numRuns: 30 },
      );
    }
  });
});

/** Plays a client's part to the end of its connection. Where it reads all, its answer must be right. */
async function play(
  daemon: CountedDaemon,
  transport: 'tcp' | 'unix',
  { service, ends, answers }: AnsweringService,
  client: Script,
): Promise<void> {
  const socket = connect({ ...daemon[transport], allowHalfOpen: true });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const ended = new Promise((resolve) => socket.once('end', resolve));
  // A peer that resets is answered by a reset, or by nothing.
  socket.on('error', () => {});
  const chunks: Buffer[] = [];
  if (client.end !== 'stalled-reset') socket.on('data', (chunk) => chunks.push(chunk));
  await Promise.race([once(socket, 'connect').catch(() => {}), closed]);
  for (const { bytes, atOnce } of client.pieces) {
    socket.write(bytes);
    if (!atOnce) await new Promise((resolve) => setImmediate(resolve));
  }
  const length = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (client.end === 'finish') {
    socket.end();
    if (ends) await within(Promise.race([ended, closed]), `the end of ${service}`);
    else await until(() => length() >= enough, `${enough} bytes of ${service}`);
    expect(socket.errored).toBeNull();
    const answer = Buffer.concat(chunks);
    expect(answers(answer, bytesOf(client)), `${service} answered ${answer.length} bytes`).toBe(true);
  }
  if (client.end === 'finish-reset') await Promise.race([new Promise<void>((resolve) => socket.end(resolve)), closed]);
  go(socket, client.end);
  await within(closed, 'the end of the connection');
}

function go(socket: Socket, end: Script['end']): void {
  if (end === 'finish' || end === 'leave') socket.destroy();
  // Of a UNIX socket there is no reset: it closes.
  else if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

function bytesOf({ pieces }: Script): Buffer {
  return Buffer.concat(pieces.map(({ bytes }) => bytes));
}

async function allAreGone({ counters }: CountedDaemon): Promise<void> {
  await until(() => counters().stream.active === 0, 'the end of all clients');
}

/** Once all clients are gone each was closed for one reason, none of them ours, and nothing threw. */
function expectCounted({ counters, log }: CountedDaemon): void {
  const { accepted, refused, closed } = counters().stream;
  const { completed, 'client-reset': reset, ...others } = closed;
  expect(completed + reset).toBe(accepted);
  expect(Object.values({ ...others, ...refused }).filter((count) => count > 0)).toEqual([]);
  expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
}
