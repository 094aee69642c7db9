import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { DelayQueue } from '../../../../src/server/faults/delay-queue.ts';
import { DelayedBudget } from '../../../../src/server/faults/delayed-budget.ts';
import type { FaultRules } from '../../../../src/server/faults/fault-rules.ts';
import { ServiceFaults } from '../../../../src/server/faults/service-faults.ts';
import { FaultyStreamSocket } from '../../../../src/server/transport/faulty-stream-socket.ts';
import type { StreamSocket, StreamSocketUser } from '../../../../src/server/transport/stream-socket.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { newFaultCounts, rulesOf } from '../faults/rules.ts';

/** A socket whose kernel takes everything, unless it is full. */
class FakeSocket implements StreamSocket {
  readonly sent: { readonly atMs: number; readonly text: string }[] = [];
  readonly tcpInfo = undefined;
  readonly errorCode = undefined;
  readonly local = '';
  readonly #clock: FakeClock;
  user: StreamSocketUser | undefined;
  received = 0;
  unsent = 0;
  isFull = false;
  isReading = false;
  isFinished = false;
  isDestroyed = false;
  wasReset = false;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  get takesMore(): boolean {
    return !this.isFull;
  }

  get text(): string {
    return this.sent.map(({ text }) => text).join('');
  }

  review(): number {
    return this.unsent;
  }

  use(user: StreamSocketUser): void {
    this.user = user;
  }

  setOptions(): void {}

  startReading(): void {
    this.isReading = true;
  }

  stopReading(): void {
    this.isReading = false;
  }

  write(bytes: Uint8Array): void {
    if (this.isDestroyed || this.isFinished) throw new Error('the socket has ended');
    this.sent.push({ atMs: this.#clock.nowMs, text: Buffer.from(bytes).toString() });
  }

  end(): void {
    this.isFinished = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  reset(): void {
    this.wasReset = true;
    this.destroy();
  }
}

function serve(rules: Partial<FaultRules>) {
  const clock = new FakeClock();
  const queue = new DelayQueue(clock);
  const counts = newFaultCounts();
  const all = rulesOf(rules);
  const budget = new DelayedBudget();
  budget.limits = all.maxDelayed;
  const service = new ServiceFaults(all, queue, budget, counts);
  return { clock, queue, counts: counts.stream, service, ...connect(clock, service) };
}

/** Opens a connection of a service, which other connections may share. */
function connect(clock: FakeClock, service: ServiceFaults) {
  const socket = new FakeSocket(clock);
  const faulty = new FaultyStreamSocket(socket, service);
  const events: string[] = [];
  faulty.use({
    received: () => void events.push('received'),
    peerEnded: () => void events.push('peerEnded'),
    flushed: () => void events.push('flushed'),
    closed: () => void events.push('closed'),
  });
  const accept = (): void =>
    faulty.accept(
      {
        closeByFault: () => faulty.end(),
        resetByFault: () => faulty.reset(),
        withheld: (bytes) => void events.push(`withheld ${bytes}`),
      },
      () => void events.push('served'),
    );
  return { socket, faulty, events, accept };
}

const delay = { probability: 1, timeMs: 50, jitterMs: 0, distribution: 'normal' } as const;

it('sends each chunk after its own delay, and our FIN last', () => {
  const { clock, socket, faulty, counts, accept } = serve({ delay });
  accept();
  faulty.write(Buffer.from('a'));
  clock.advance(10);
  faulty.end(Buffer.from('b'));
  expect([faulty.unsent, faulty.review(), faulty.takesMore, faulty.isFinished]).toEqual([2, 2, true, false]);
  clock.advance(49);
  expect(socket.isFinished).toBe(false);
  clock.advance(10);
  expect(socket.sent).toEqual([
    { atMs: 50, text: 'a' },
    { atMs: 60, text: 'b' },
  ]);
  expect([socket.isFinished, faulty.unsent, counts.delay]).toEqual([true, 0, 2]);
});

it('paces its output, also after a pause', () => {
  const { clock, socket, faulty, accept } = serve({ rate: { probability: 1, bytesPerSecond: 1000 } });
  accept();
  clock.advance(1000);
  faulty.write(Buffer.alloc(200));
  clock.advance(100);
  // 20 bytes each 20 ms, and one slice in advance, from the first millisecond on.
  expect(socket.text).toHaveLength(120);
  clock.advance(100);
  expect(socket.text).toHaveLength(200);
  expect(faulty.unsent).toBe(0);
});

it('makes its client wait when 256 chunks are held back, however small', () => {
  const { clock, faulty, accept } = serve({ delay });
  accept();
  for (let count = 1; count <= 256; count += 1) {
    expect(faulty.takesMore).toBe(true);
    faulty.write(Buffer.alloc(1));
  }
  expect(faulty.takesMore).toBe(false);
  clock.advance(50);
  expect(faulty.takesMore).toBe(true);
});

it('makes its client wait when 64 KiB are held back, and tells it when it may go on', () => {
  const { clock, faulty, events, accept } = serve({ delay });
  accept();
  faulty.write(Buffer.alloc(65_535));
  expect(faulty.takesMore).toBe(true);
  faulty.write(Buffer.alloc(1));
  expect(faulty.takesMore).toBe(false);
  clock.advance(49);
  expect(events).toEqual(['served']);
  clock.advance(1);
  expect(faulty.takesMore).toBe(true);
  expect(events).toEqual(['served', 'flushed']);
});

it('tells a client when it may go on, if the room that it had was taken by others', () => {
  const first = serve({ delay, maxDelayed: { datagrams: 1, bytes: 1500 } });
  const second = connect(first.clock, first.service);
  first.accept();
  second.accept();
  first.faulty.write(Buffer.alloc(100));
  expect(first.faulty.takesMore).toBe(true);
  first.clock.advance(10);
  second.faulty.write(Buffer.alloc(900));
  expect(first.faulty.takesMore).toBe(false);
  first.clock.advance(40);
  expect(first.events).toEqual(['served', 'flushed']);
  first.clock.advance(10);
  expect(second.events).toEqual(['served', 'flushed']);
});

it('tells a client when it may go on, if what was due has filled the socket meanwhile', () => {
  const { clock, socket, faulty, events, accept } = serve({ delay });
  accept();
  faulty.write(Buffer.alloc(100));
  expect(faulty.takesMore).toBe(true);
  clock.advance(50);
  socket.isFull = true;
  expect(faulty.takesMore).toBe(false);
  socket.isFull = false;
  socket.user?.flushed();
  expect(events).toEqual(['served', 'flushed']);
});

it('keeps input from its service after an early half-close, but counts it', () => {
  const { socket, faulty, events, accept } = serve({ halfCloseEarly: 1 });
  accept();
  socket.user?.received(Buffer.from('first'));
  faulty.write(Buffer.from('first'));
  socket.user?.received(Buffer.from('more'));
  expect(events).toEqual(['served', 'received', 'withheld 4']);
});

it('reads on after an early half-close, even if its service had to wait before', () => {
  const { clock, socket, faulty, accept } = serve({ halfCloseEarly: 1, delay });
  accept();
  faulty.write(Buffer.alloc(65_536));
  faulty.stopReading();
  expect(socket.isReading).toBe(false);
  clock.advance(50);
  expect([socket.isFinished, socket.isReading]).toEqual([true, true]);
});

it('half-closes early after the whole first chunk, whatever the rate', () => {
  const { clock, socket, faulty, accept } = serve({
    halfCloseEarly: 1,
    rate: { probability: 1, bytesPerSecond: 1000 },
  });
  accept();
  faulty.write(Buffer.from('first '.repeat(20)));
  faulty.write(Buffer.from('second'));
  clock.advance(1000);
  expect([socket.text, socket.isFinished]).toEqual(['first '.repeat(20), true]);
});

it('does not reset after its time a client that has its complete answer', () => {
  const late = { probability: 1, timeMs: 10, bytes: null };
  const { clock, queue, socket, faulty, counts, accept } = serve({ resetAfter: late });
  accept();
  faulty.end(Buffer.from('done'));
  clock.advance(20);
  expect([socket.text, socket.wasReset, counts.resetAfter, queue.length]).toEqual(['done', false, 0, 0]);
});

it('resets after so many bytes, even if they are all that its service sends', () => {
  const full = { probability: 1, timeMs: null, bytes: 4 };
  const { clock, socket, faulty, counts, accept } = serve({ resetAfter: full, delay });
  accept();
  faulty.end(Buffer.from('done'));
  clock.advance(50);
  expect([socket.text, socket.wasReset, counts.resetAfter]).toEqual(['done', true, 1]);
});

it('waits for a slow client, without asking again and again', () => {
  const { clock, queue, socket, faulty, events, accept } = serve({ delay });
  accept();
  faulty.write(Buffer.from('slow'));
  socket.isFull = true;
  clock.advance(100);
  expect([socket.text, faulty.unsent, queue.length]).toEqual(['', 4, 0]);
  socket.isFull = false;
  socket.user?.flushed();
  expect([socket.text, faulty.unsent]).toEqual(['slow', 0]);
  expect(events).toEqual(['served']);
});

it('neither serves nor sends anything after the client is gone, and gives back its room', () => {
  const late = { acceptDelay: { probability: 1, timeMs: 20 } };
  const { clock, queue, faulty, socket, events, accept } = serve(late);
  accept();
  expect(events).toEqual([]);
  faulty.destroy();
  clock.advance(100);
  expect([events, queue.length, socket.sent]).toEqual([[], 0, []]);

  const held = serve({ delay, maxDelayed: { datagrams: 1, bytes: 600 } });
  held.accept();
  held.faulty.write(Buffer.alloc(400));
  expect(held.service.budget.isTight).toBe(true);
  held.socket.user?.closed();
  expect([held.service.budget.isTight, held.faulty.unsent, held.queue.length]).toEqual([false, 400, 0]);
  held.clock.advance(100);
  expect(held.socket.sent).toEqual([]);
  expect(held.events).toEqual(['served', 'closed']);
});

it('resets a client whose output has no room, and counts it', () => {
  const { socket, faulty, counts, accept } = serve({ delay, maxDelayed: { datagrams: 1, bytes: 300 } });
  accept();
  faulty.write(Buffer.alloc(400));
  expect([socket.wasReset, counts.maxDelayed, counts.resetAfter]).toEqual([true, 1, 0]);
});

it('never serves a client that it resets on accept', () => {
  const { socket, counts, events, accept } = serve({ resetOnAccept: 1 });
  accept();
  expect([socket.wasReset, counts.resetOnAccept, events]).toEqual([true, 1, []]);
});

it('does not close early a client that has its complete answer', () => {
  const { clock, socket, faulty, counts, accept } = serve({ closeAfter: { probability: 1, timeMs: 10, bytes: null } });
  accept();
  faulty.end(Buffer.from('done'));
  clock.advance(20);
  expect([socket.text, socket.isFinished, counts.closeAfter]).toEqual(['done', true, 0]);
});

it('sends exactly what was written, in order and never early, whatever the delays and the rate', () => {
  const chunks = fc.array(fc.record({ text: fc.string({ minLength: 1, maxLength: 40 }), pauseMs: fc.nat(30) }), {
    maxLength: 30,
  });
  const rate = fc.option(fc.integer({ min: 1, max: 5000 }), { nil: null });
  fc.assert(
    fc.property(chunks, rate, fc.nat(60), fc.nat(60), fc.nat(1000), (all, bytesPerSecond, timeMs, jitterMs, seed) => {
      const { clock, service, queue, socket, faulty, accept } = serve({
        seed,
        delay: { probability: 0.7, timeMs, jitterMs, distribution: 'uniform' },
        rate: { probability: 0.5, bytesPerSecond },
      });
      accept();
      let written = '';
      for (const { text, pauseMs } of all) {
        const bytes = Buffer.from(text);
        faulty.write(bytes);
        // Whoever wrote them may reuse their memory.
        bytes.fill('#');
        written += text;
        clock.advance(pauseMs);
        expect(Buffer.byteLength(written)).toBe(Buffer.byteLength(socket.text) + faulty.unsent);
      }
      faulty.end();
      clock.advance(3_600_000);
      expect([socket.text, socket.isFinished, faulty.unsent]).toEqual([written, true, 0]);
      expect([service.budget.isTight, queue.length, clock.waiting]).toEqual([false, 0, 0]);
    }),
  );
});
