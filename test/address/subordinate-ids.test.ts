import { expect, it, test } from 'vitest';
import { SubordinateIds } from '../../src/address/subordinate-ids.ts';

const passwd = 'root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/:\n';

it.each([
  [0, 0],
  [1000, 1000],
  [99_999, 99_999],
  [100_000, 1000],
  [165_535, 1000],
  [165_536, 165_536],
  [200_000, 1001],
  [200_009, 1001],
  [200_010, 200_010],
  [300_000, 1234],
  [4_294_967_294, 4_294_967_294],
])('the id %i counts as the user %i', (uid, owner) => {
  const ids = new SubordinateIds('bob:200000:10\nalice:100000:65536\n1234:300000:1\n', passwd);
  expect(ids.ownerOf(uid)).toBe(owner);
});

test('lines that are wrong, or of a user who is not there, change nothing', () => {
  const ids = new SubordinateIds('\nalice\nalice:x:10\nalice:-5:10\ncarol:100:10\nalice:500:1:more\n', passwd);
  expect([0, 100, 500].map((uid) => ids.ownerOf(uid))).toEqual([0, 100, 1000]);
});

test('a machine without such users has none', () => {
  expect(new SubordinateIds('', '').ownerOf(100_000)).toBe(100_000);
});
