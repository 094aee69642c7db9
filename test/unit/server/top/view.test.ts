import { PassThrough } from 'node:stream';
import { emitKeypressEvents } from 'node:readline';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { firstView, type Key, type KeyAction, pressKey, type View } from '../../../../src/server/top/view.ts';

const extent = { lines: 40, page: 10, starts: [0, 12, 30] };

/** The keys that come of bytes, in these pieces. */
async function keysOf(...pieces: readonly Uint8Array[]): Promise<readonly Key[]> {
  const input = new PassThrough();
  const keys: Key[] = [];
  emitKeypressEvents(input);
  input.on('keypress', (text: string | undefined, key: Omit<Key, 'text'>) => keys.push({ ...key, text }));
  for (const piece of pieces) {
    input.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return keys;
}

/** What becomes of a view when somebody types this. */
async function typed(text: string | Uint8Array, view: View = firstView): Promise<View | KeyAction> {
  let now: View | KeyAction = view;
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  for (const key of await keysOf(bytes)) if (typeof now === 'object') now = pressKey(now, key, extent);
  return now;
}

describe('keys', () => {
  test.each([
    ['q', 'quit'],
    ['\u0003', 'quit'],
    ['\u001a', 'suspend'],
    ['\u000c', 'redraw'],
    ['/a\u0003', 'quit'],
  ])('%j: %s', async (text, action) => {
    expect(await typed(text)).toBe(action);
  });

  test.each<[string, Partial<View>]>([
    ['s', { sort: 'requests' }],
    ['sssss', { sort: 'config' }],
    ['p', { isPaused: true }],
    ['pp', { isPaused: false }],
    ['?', { showsHelp: true }],
    ['?p', { showsHelp: false, isPaused: false }],
    ['/eq', { isFiltering: true, filter: 'eq' }],
    ['/eq\u007f\r', { isFiltering: false, filter: 'e' }],
    ['/grün 漢\r', { filter: 'grün 漢' }],
    ['/a\u0015b\r', { filter: 'b' }],
    ['/a\u001b[A\u001b[200~\r', { filter: 'a' }],
    ['\u001b[B\u001b[B\u001bOA', { scroll: 1 }],
    ['\u001b[A', { scroll: 0 }],
    ['\u001b[6~ ', { scroll: 20 }],
    ['\u001b[6~\u001b[5~', { scroll: 0 }],
    ['\u001b[F\u001b[B', { scroll: 30 }],
    ['\u001b[F\u001b[H', { scroll: 0 }],
    ['\u001b[C', { scroll: 12 }],
    ['\u001b[C\u001b[C\u001b[D', { scroll: 12 }],
    ['\u001b[C\u001b[D\u001b[D', { scroll: 0 }],
    ['x\u001b[24~', {}],
  ])('%j', async (text, changes) => {
    expect(await typed(text)).toEqual({ ...firstView, ...changes });
  });

  it('are the same when their bytes come one by one', async () => {
    const bytes = Buffer.from('\u001b[B/ü漢\r\u001b[6~');
    const keys = await keysOf(...Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)));
    expect(keys).toEqual(await keysOf(bytes));
    expect(keys.map(({ name, text }) => name ?? text)).toEqual(['down', '/', 'ü', '漢', 'return', 'pagedown']);
  });

  it('Escape clears the filter', () => {
    for (const isFiltering of [true, false])
      expect(pressKey({ ...firstView, filter: 'a', isFiltering }, { name: 'escape', meta: true }, extent)).toEqual(
        firstView,
      );
  });
});

test('whatever is typed, the filter is short and printable and the scroll is within the tables', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.boolean(), async (bytes, isFiltering) => {
      const view = await typed(bytes, { ...firstView, isFiltering });
      if (typeof view !== 'object') return;
      expect(view.filter).toMatch(/^\P{C}{0,64}$/u);
      expect(view.scroll).toBeGreaterThanOrEqual(0);
      expect(view.scroll).toBeLessThanOrEqual(30);
    }),
  );
});
