import { expect, it } from 'vitest';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { interfaceIndexOf } from '../../../../src/kernel/sockets.ts';
import { formatPeer, nameOfZone, parsePeer } from '../../../../src/server/transport/zone.ts';

const lo = interfaceIndexOf('lo');

it.each([
  ['192.0.2.1', undefined],
  ['2001:db8::1', undefined],
  ['fe80::1', undefined],
  ['fe80::1%lo', lo],
])('reads the peer %s and writes it again', (text, zone) => {
  const peer = parsePeer(text);
  expect(peer).toEqual({ ...parseIp(text), ...(zone !== undefined && { zone }) });
  expect(formatPeer(peer!)).toBe(text);
});

it('knows no zone of an interface that is gone', () => {
  const peer = parsePeer('fe80::1%gone0');
  expect(peer?.zone).toBe(0);
  expect(formatPeer(peer!)).toBe('fe80::1');
  expect(nameOfZone(999_999)).toBe('999999');
  expect(parsePeer('fe80::1%17')?.zone).toBe(17);
});

it('refuses what is not an address', () => {
  expect(parsePeer('localhost')).toBeUndefined();
});
