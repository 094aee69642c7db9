import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import type { PageEvent } from '../../../../src/server/admin/live.ts';
import { asciiGlyphs } from '../../../../src/server/top/text.ts';
import { Top } from '../../../../src/server/top/top.ts';
import { until } from '../../../support/wait.ts';
import { events, status } from './state.ts';

/** A process with a terminal. */
class FakeProcess extends EventEmitter {
  readonly stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  readonly stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 100, rows: 24 });
  readonly pid = 1;
}

it('says that it cannot show an answer, and shows the next one', async () => {
  const process = new FakeProcess();
  const unchecked = { name: 'status', value: { ...status, services: null } } as unknown as PageEvent;
  const client = {
    name: 'tcp://localhost:9013',
    async *events(ended: AbortSignal): AsyncGenerator<PageEvent, void> {
      yield unchecked;
      await once(process, 'next');
      yield* events;
      await once(ended, 'abort');
    },
  };
  let printed = '';
  process.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const top = new Top(process as unknown as NodeJS.Process, client, {
    glyphs: asciiGlyphs,
    paint: ({ text }) => text,
  });
  const running = top.run();
  const message = 'tcp://localhost:9013 is not a smallservd admin endpoint: its answer cannot be shown';
  await until(() => printed.includes(message), 'the message');
  process.emit('next');
  await until(() => printed.includes('SERVICE'), 'the tables');
  process.stdin.write('q');
  await running;
  expect(printed.endsWith('\u001b[?1049l')).toBe(true);
});
