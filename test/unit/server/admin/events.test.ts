import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { EventReader, type ReceivedEvent } from '../../../../src/server/admin/event-reader.ts';
import { checkEvent } from '../../../../src/server/admin/event-shape.ts';
import type { EventValues, PageEventName } from '../../../../src/server/admin/live.ts';
import { live, noPast } from './live.ts';

/** What a reader makes of these bytes, in pieces of a length. */
function read(bytes: Buffer, length: number): readonly ReceivedEvent[] | undefined {
  const reader = new EventReader();
  const events: ReceivedEvent[] = [];
  for (let at = 0; at < bytes.length; at += length) {
    const more = reader.read(bytes.subarray(at, at + length));
    if (more === undefined) return undefined;
    events.push(...more);
  }
  return events;
}

describe('EventReader', () => {
  it('splits a stream into events, however it is cut', () => {
    const event = fc.record({ name: fc.stringMatching(/^[a-z]{1,9}$/), data: fc.json() });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), fc.integer({ min: 1, max: 50 }), (events, length) => {
        const text = events.map(({ name, data }) => `event: ${name}\ndata: ${data}\n\n`).join('');
        expect(read(Buffer.from(text), length)).toEqual(events);
      }),
    );
  });

  it.each(['\n\n', 'event: a\n\n', 'data: 1\n\n', 'event: a\ndata: 1\ndata: 2\n\n', 'event: a b\ndata: 1\n\n'])(
    'refuses %j',
    (text) => {
      expect(read(Buffer.from(text), 100)).toBeUndefined();
    },
  );

  it('refuses an event without an end', () => {
    const reader = new EventReader();
    const part = Buffer.alloc(2 ** 20, 'x');
    const results = Array.from({ length: 9 }, () => reader.read(part));
    expect(results.filter((result) => result === undefined)).toHaveLength(1);
  });
});

const point = { time: 1.5, values: { clients: 2 } };
const values: EventValues = {
  ...live({
    points: { second: point, minute: null },
    faults: { echo: { delay: { timeMs: 1 } } },
    reloads: [{ at: '2026-11-22T11:07:12.000Z', tookMs: 5, error: null, errors: 0 }],
    log: [{ level: 'warn', time: undefined, message: 'listener closed', fields: { service: 'echo' } }],
  }),
  past: { ...noPast, requests: { echo: [null, 1] } },
};
/** All events that a daemon sends, as they come over the network. */
const received = Object.entries(values).map(
  ([name, value]) => [name, JSON.parse(JSON.stringify(value))] as [PageEventName, unknown],
);

test.each(received)('checkEvent accepts the event %s of a daemon, and nothing of another type', (name, value) => {
  expect(checkEvent(name, value)).toEqual({ event: { name, value } });
  for (const other of [undefined, null, 1, 'text', [1], { a: 1 }])
    if (name !== 'log' || !Array.isArray(other)) expect(checkEvent(name, other)).toHaveProperty('fault');
});

test('checkEvent leaves out log entries that are not valid, because workers write them', () => {
  const { log } = values;
  const long = { ...log[0], time: 't'.repeat(300) };
  expect(checkEvent('log', [1, long, ...log, { ...log[0], level: 5 }])).toEqual({ event: { name: 'log', value: log } });
});
