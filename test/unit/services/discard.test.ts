import { describe, expect, it } from 'vitest';
import { discard } from '../../../src/services/discard.ts';
import { FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

const service = await discard.create({}, new FakeContext());

describe('discard over TCP (RFC 863)', () => {
  it('discards all input and closes after the client sends FIN', () => {
    const connection = new FakeConnection(service);
    connection.send('nobody reads this');
    connection.drain();
    expect(connection.client).toMatchObject({ writes: [], ended: false });
    connection.finish();
    expect(connection.client).toMatchObject({ writes: [], ended: true });
  });
});

describe('discard over UDP', () => {
  it.each([0, 1, 65_507])('never replies to %i bytes', (length) => {
    expect(service).toHaveProperty('datagram');
    expect(service.datagram?.(Buffer.alloc(length), 65_507, nowhere)).toBeUndefined();
  });
});
