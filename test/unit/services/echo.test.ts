import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { echo } from '../../../src/services/echo.ts';
import type { Service } from '../../../src/service.ts';
import { FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';
import { nowhere } from '../../support/nowhere.ts';

const service = (await echo.create({}, new FakeContext())) satisfies Service;

describe('echo over TCP (RFC 862)', () => {
  it('sends every byte back immediately and in order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
        const connection = new FakeConnection(service);
        for (const chunk of chunks) {
          connection.send(chunk);
          expect(connection.client.writes.at(-1)).toEqual(Buffer.from(chunk));
        }
        expect(connection.client.bytes).toEqual(Buffer.concat(chunks));
        expect(connection.client.ended).toBe(false);
      }),
    );
  });

  it('closes after the client sends FIN', () => {
    const connection = new FakeConnection(service);
    connection.send('last words');
    connection.finish();
    expect(connection.client).toMatchObject({ text: 'last words', ended: true });
  });

  it('sends nothing unprompted', () => {
    expect(new FakeConnection(service).client).toMatchObject({ text: '', ended: false });
  });
});

describe('echo over UDP', () => {
  it.each([0, 1, 512, 65_507])('replies to %i bytes with the same bytes', (length) => {
    const request = Buffer.alloc(length, 'smallservd');
    expect(service.datagram?.(request, length, nowhere)).toEqual(Buffer.alloc(length, 'smallservd'));
  });
});
