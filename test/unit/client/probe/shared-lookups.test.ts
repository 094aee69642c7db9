import { expect, test } from 'vitest';
import { sharedLookups } from '../../../../src/client/probe/shared-lookups.ts';

test('each name and family is looked up once', async () => {
  const asked: string[] = [];
  const lookup = sharedLookups((host, family, done) => {
    asked.push(`${host} ${family}`);
    setImmediate(done, null, [{ address: '192.0.2.1', family: 4 }]);
  });
  const look = async (host: string, family: 0 | 4 | 6): Promise<unknown> =>
    new Promise((resolve) => lookup(host, family, (_error, found) => resolve(found)));
  const found = await Promise.all([look('a', 0), look('a', 0), look('a', 4), look('b', 0)]);
  expect(await look('b', 0)).toEqual(found[0]);
  expect(asked).toEqual(['a 0', 'a 4', 'b 0']);
});
