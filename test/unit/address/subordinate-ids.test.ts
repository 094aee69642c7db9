import { expect, it, test } from 'vitest';
import { SubordinateIds } from '../../../src/address/subordinate-ids.ts';

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
])('maps the id %i to the user %i', (uid, owner) => {
  const ids = new SubordinateIds('bob:200000:10\nalice:100000:65536\n1234:300000:1\n', passwd);
  expect(ids.ownerOf(uid)).toBe(owner);
});

test('ignores malformed lines', () => {
  const ids = new SubordinateIds('\nalice\nalice:x:10\nalice:-5:10\nalice:500:1:more\n', passwd);
  expect([0, 5, 500].map((uid) => ids.ownerOf(uid))).toEqual([0, 5, 1000]);
});

test('treats the range of a user missing from passwd as a single user', () => {
  const ids = new SubordinateIds('carol:100000:65536\n', passwd);
  expect([100_000, 100_001, 165_535, 165_536].map((uid) => ids.ownerOf(uid))).toEqual([
    100_000, 100_000, 100_000, 165_536,
  ]);
});

test('uses the first of overlapping ranges', () => {
  const ids = new SubordinateIds('alice:100000:1000000\nbob:200000:65536\n1234:500000:10\nbob:1099990:20', passwd);
  expect([200_001, 400_000, 500_001, 1_099_999, 1_100_000].map((uid) => ids.ownerOf(uid))).toEqual([
    1000, 1000, 1000, 1000, 1001,
  ]);
});

test('maps nothing without subordinate ids', () => {
  expect(new SubordinateIds('', '').ownerOf(100_000)).toBe(100_000);
});
