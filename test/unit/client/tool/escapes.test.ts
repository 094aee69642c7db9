import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOption } from '../../../../src/client/tool/escapes.ts';

describe('text with escapes', () => {
  test.each([
    ['', ''],
    ['GET / HTTP/1.0\\r\\n\\r\\n', 'GET / HTTP/1.0\r\n\r\n'],
    ['\\t\\0\\\\n', '\t\0\\n'],
    ['é', 'é'],
  ])('%j is %j', (text, bytes) => {
    expect(Buffer.from(bytesOption(text)).toString()).toBe(bytes);
  });

  test.each(['\\q', '\\', '\\x1', '\\xg0', 'a\\'])('%j is not valid', (text) => {
    expect(() => bytesOption(text)).toThrow(/is not an escape: expected/);
  });

  test('can express all bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
        expect([...bytesOption(text)]).toEqual([...bytes]);
      }),
    );
  });
});
