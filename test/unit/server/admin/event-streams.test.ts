import { describe, expect, it } from 'vitest';
import { EventStreams } from '../../../../src/server/admin/event-streams.ts';
import type { Live, PageSource } from '../../../../src/server/admin/live.ts';
import { FakeClock, pass } from '../../../support/fake-clock.ts';
import { live, noPast } from './live.ts';

/** A page that reads, or not. */
class FakePage {
  text = '';
  reads = true;
  isDestroyed = false;

  push(bytes: Buffer): boolean {
    if (this.reads) this.text += bytes.toString();
    return this.reads;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  /** Names and values of the events since the last call. */
  take(): readonly (readonly [string, unknown])[] {
    const events = [...this.text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)];
    expect(events.map(([whole]) => whole).join('')).toBe(this.text);
    this.text = '';
    return events.map(([, name = '', data = '']) => [name, JSON.parse(data) as unknown]);
  }

  get names(): readonly string[] {
    return this.take().map(([name]) => name);
  }
}

class FakeSource implements PageSource {
  now: Live = live();
  isSilent = false;
  asked = 0;

  async live(): Promise<Live> {
    this.asked += 1;
    if (this.isSilent) throw new Error('no answer from the supervisor');
    return this.now;
  }

  async past(): Promise<typeof noPast> {
    return noPast;
  }
}

const all = ['past', 'status', 'points', 'faults', 'reloads', 'log'];

async function open(pages = 1, newcomers = 200) {
  const clock = new FakeClock();
  const source = new FakeSource();
  const streams = new EventStreams(source, clock, newcomers);
  const opened = Array.from({ length: pages }, () => new FakePage());
  for (const page of opened) streams.add(page);
  await pass(clock, 0);
  return { clock, source, streams, pages: opened, page: opened[0] ?? new FakePage() };
}

describe('EventStreams', () => {
  it('sends the past and the present at once, then only what has changed', async () => {
    const { clock, source, page } = await open();
    expect(page.names).toEqual(all);
    await pass(clock, 1000);
    expect(page.names).toEqual([]);
    source.now = live({ faults: { echo: { loss: 0.5 } } });
    await pass(clock, 1000);
    expect(page.take()).toEqual([['faults', { echo: { loss: 0.5 } }]]);
  });

  it('writes each event on one line, whatever is in it', async () => {
    const message = 'one\ntwo\r\n\nevent: status\ndata: \u2028\u0000\u202e';
    const { clock, source, page } = await open();
    page.take();
    source.now = live({ log: [{ level: 'warn', time: undefined, message, fields: {} }] });
    await pass(clock, 1000);
    expect(page.text.split('\n')).toHaveLength(4);
    expect(page.text).toMatch(/^[\n -~]*$/);
    expect(page.take()).toEqual([['log', [{ level: 'warn', message, fields: {} }]]]);
  });

  it('asks once a second for all pages, and not at all without any', async () => {
    const { clock, source, streams, pages } = await open(10);
    expect(source.asked).toBe(1);
    await pass(clock, 3000);
    expect(source.asked).toBe(4);
    for (const page of pages) streams.remove(page);
    await pass(clock, 3000);
    expect(source.asked).toBe(4);
    expect(clock.waiting).toBe(0);
  });

  it('asks no more often than every 20 ms, however often pages are opened', async () => {
    const { clock, source, streams } = await open();
    const before = source.asked;
    for (let ms = 0; ms < 100; ms += 1) {
      streams.add(new FakePage());
      await pass(clock, 1, 1);
    }
    expect(source.asked - before).toBeLessThanOrEqual(5);
    expect(source.asked).toBeGreaterThan(before);
    streams.destroyAll();
  });

  it('skips a page that does not read, and then sends it the latest only', async () => {
    const { clock, source, page } = await open();
    page.take();
    page.reads = false;
    source.now = live({ faults: { echo: { loss: 0.5 } } });
    await pass(clock, 1000);
    page.reads = true;
    source.now = live({ faults: { echo: { loss: 0.7 } } });
    await pass(clock, 1000);
    expect(page.take()).toEqual([['faults', { echo: { loss: 0.7 } }]]);
  });

  it('sends nothing while the supervisor does not answer, and goes on afterwards', async () => {
    const { clock, source, page } = await open();
    page.take();
    source.isSilent = true;
    source.now = live({ reloads: [{ at: '2026-11-22T11:07:12.000Z', tookMs: 5, error: null, errors: 0 }] });
    await pass(clock, 3000);
    expect([page.names, page.isDestroyed]).toEqual([[], false]);
    source.isSilent = false;
    await pass(clock, 1000);
    expect(page.names).toEqual(['reloads']);
  });

  it('closes a page that is opened meanwhile', async () => {
    const { clock, source, streams } = await open();
    source.isSilent = true;
    clock.advance(20);
    const page = new FakePage();
    streams.add(page);
    await pass(clock, 0);
    expect(page.isDestroyed).toBe(true);
  });

  it.each([
    [200, 16],
    [8, 4],
  ])('with room for %i newcomers, keeps the %i pages opened last', async (newcomers, most) => {
    const { clock, streams, pages } = await open(most, newcomers);
    expect(pages.some(({ isDestroyed }) => isDestroyed)).toBe(false);
    const late = [new FakePage(), new FakePage()];
    for (const page of late) streams.add(page);
    await pass(clock, 0);
    expect([...pages, ...late].map(({ isDestroyed }) => isDestroyed)).toEqual([
      true,
      true,
      ...Array.from({ length: most }, () => false),
    ]);
    expect(streams.size).toBe(most);
    expect(late.map(({ names }) => names)).toEqual([all, all]);
  });
});
