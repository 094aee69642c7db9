import { expect, it } from 'vitest';
import type { PageEvent } from '../../../../src/server/admin/live.ts';
import { SmallservdError } from '../../../../src/errors.ts';
import { follow } from '../../../../src/server/top/follow.ts';
import { events } from './state.ts';

/** An endpoint that sends these, one connection after the other, and then fails. */
class FakeClient {
  asked = 0;
  readonly #connections: readonly (readonly PageEvent[])[];

  constructor(...connections: readonly (readonly PageEvent[])[]) {
    this.#connections = connections;
  }

  async *events(): AsyncGenerator<PageEvent, void> {
    const sent = this.#connections[this.asked] ?? [];
    this.asked += 1;
    yield* sent;
    throw new SmallservdError('ADMIN_UNREACHABLE', `end of ${this.asked}`);
  }
}

it('connects again when the connection breaks, until it is ended', async () => {
  const ended = new AbortController();
  const told: string[] = [];
  const client = new FakeClient(events.slice(0, 2), events.slice(0, 1));
  await follow(client, ended.signal, {
    changed: ({ name }) => void told.push(name),
    lost(reason) {
      told.push(reason);
      if (client.asked === 2) ended.abort();
    },
  });
  expect(told).toEqual(['past', 'status', 'end of 1', 'past', 'end of 2']);
});

it('fails if no daemon has ever answered', async () => {
  const follower = { changed: () => {}, lost: () => {} };
  await expect(follow(new FakeClient(), new AbortController().signal, follower)).rejects.toThrow('end of 1');
});
