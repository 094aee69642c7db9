import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRequest } from '../../../../src/server/admin/request.ts';

const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
const value = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,40}$/);
const lineEnd = fc.constantFrom('\r\n', '\n');
/** No field whose value would have to be right. */
const fields = fc.array(
  fc.tuple(
    name.filter((each) => !/^(host|expect)$/i.test(each)),
    value,
  ),
  { maxLength: 99 },
);
const requests = fc
  .record({ method: name, target: fc.stringMatching(/^[!-~]{1,80}$/), host: value, fields, end: lineEnd })
  .filter(({ method }) => method !== 'CONNECT')
  .map(({ method, target, host, fields: others, end }) => {
    const lines = [`${method} ${target} HTTP/1.1`, `hOST:${host}`, ...others.map((field) => field.join(':'))];
    return { text: `${lines.join(end)}${end}${end}`, meaning: { method, target, host: host.trim() } };
  })
  .filter(({ text }) => text.length <= 8192);
/** What a request is made of, in any order. */
const pieces = fc.array(
  fc.oneof(
    fc.constantFrom(
      'GET',
      ' ',
      '/livez',
      'HTTP/1.1',
      'HTTP/1.0',
      '\r\n',
      '\n',
      '\r',
      'Host',
      ':',
      'Expect',
      '100-continue',
    ),
    fc.string({ unit: 'binary', maxLength: 5 }).map((text) => Buffer.from(text).toString('latin1')),
  ),
  { maxLength: 40 },
);

describe('a request header', () => {
  it('yields method, target and host in any valid form, ignoring what follows', () => {
    fc.assert(
      fc.property(requests, fc.string({ unit: 'binary' }), fc.boolean(), ({ text, meaning }, more, isLate) => {
        expect(readRequest(`${isLate ? '\r\n' : ''}${text}${more}`)).toEqual(meaning);
      }),
    );
  });

  it('is incomplete, not malformed, before its last byte', () => {
    fc.assert(
      fc.property(requests, fc.nat(), ({ text }, at) => {
        expect(readRequest(text.slice(0, at % text.length))).toBeUndefined();
      }),
    );
  });

  it('gets the same verdict with more bytes after it', () => {
    fc.assert(
      fc.property(pieces, pieces, (first, rest) => {
        const read = readRequest(first.join(''));
        if (read === undefined) return;
        expect(readRequest(`${first.join('')}${rest.join('')}`)).toHaveProperty('status' in read ? 'status' : 'target');
      }),
    );
  });

  it('is never incomplete beyond 8 KiB', () => {
    fc.assert(
      fc.property(pieces, fc.nat(3), (some, kind) => {
        const filling = ['x', ' ', 'x: y\r\n', '\n'][kind] ?? '';
        expect(readRequest(some.join('') + filling.repeat(8193))).toBeDefined();
      }),
    );
  });
});
