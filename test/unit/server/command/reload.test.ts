import { expect, it } from 'vitest';
import { resultOf } from '../../../../src/server/command/reload.ts';
import { snapshot } from '../admin/snapshot.ts';

it('waits for two minutes in total, even if answers are slow', async () => {
  const before = snapshot();
  let nowMs = 0;
  let asked = 0;
  const client = {
    async snapshot() {
      asked += 1;
      nowMs += 50_000;
      return before;
    },
  };
  await expect(resultOf(client, before, { monotonicMs: () => nowMs })).rejects.toMatchObject({
    code: 'RELOAD_NOT_ASKED',
    message: 'no result after 120 s: see the log',
  });
  expect(asked).toBe(3);
});
