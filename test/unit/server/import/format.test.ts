import { expect, test } from 'vitest';
import { detectFormat } from '../../../../src/server/import/format.ts';

test.each([
  ['# comment\n\necho stream tcp nowait root internal\n', 'inetd'],
  ['service stream tcp nowait root internal', 'inetd'],
  ['garbage\necho dgram udp wait root internal', 'inetd'],
  ['127.0.0.1:\n', 'inetd'],
  ['# only comments\n', 'inetd'],
  ['', 'inetd'],
  ['  defaults  \n{\n}\n', 'xinetd'],
  ['defaults{', 'xinetd'],
  ['service echo\n{\n', 'xinetd'],
  ['includedir /etc/xinetd.d', 'xinetd'],
  ['\tinclude /etc/xinetd.d/echo', 'xinetd'],
])('%j is an %s.conf', (text, format) => {
  expect(detectFormat(text, 'file')).toBe(format);
});

test('a file that is neither is an error that names its first line', () => {
  expect(() => detectFormat('\n# x\nlisten: 7\nmore\n', 'file')).toThrow(
    expect.objectContaining({
      code: 'IMPORT_INVALID',
      message: 'file:3: "listen: 7": not an entry of inetd.conf or xinetd.conf',
    }),
  );
});
