import { createSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { parseIp } from '../../../src/address/ip-address.ts';
import { datagramBatch } from '../../../src/kernel/datagram-batch.ts';
import { readable, readiness } from '../../../src/kernel/readiness.ts';
import { bindUdp, boundTo } from '../../../src/kernel/sockets.ts';
import { until } from '../../support/wait.ts';

const batch = datagramBatch();

function open(): { readonly descriptor: number; readonly port: number } {
  const ip = parseIp('127.0.0.1');
  if (ip === undefined) throw new Error('127.0.0.1');
  const descriptor = bindUdp({ family: 'ipv4', ip, port: 0, interfaceIndex: 0 }, 1 << 20);
  const bound = boundTo(descriptor);
  return { descriptor, port: 'port' in bound ? bound.port : 0 };
}

/** Watches a descriptor, and returns a function that stops this and closes it. */
function watchReadable(descriptor: number, ready: () => void): () => void {
  const number = readiness().watch(descriptor, readable, { ready });
  let isWatched = true;
  return () => {
    if (!isWatched) return;
    isWatched = false;
    readiness().unwatch(number, descriptor);
    closeSync(descriptor);
  };
}

function send(text: string, ...ports: readonly number[]): void {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  for (const port of ports) socket.send(text, port, '127.0.0.1');
}

it('calls back for each readable descriptor until its data is read', async () => {
  const sockets = Array.from({ length: 100 }, open);
  const calls = sockets.map(() => 0);
  const stops = sockets.map(({ descriptor }, index) =>
    watchReadable(descriptor, () => {
      calls[index]! += 1;
      // Level-triggered: it is told again while there is data.
      if (calls[index] === 2) batch.receive(descriptor);
    }),
  );
  onTestFinished(() => stops.forEach((stop) => stop()));
  send('x', ...sockets.map(({ port }) => port));
  await until(() => calls.every((count) => count === 2), 'all sockets');
  await new Promise((resolve) => setImmediate(resolve));
  expect(new Set(calls)).toEqual(new Set([2]));
});

it('calls nobody who is no longer watched, even in the same turn', async () => {
  const [one, two] = [open(), open()];
  let calls = 0;
  const stops: (() => void)[] = [];
  const stopAll = (): void => {
    calls += 1;
    for (const stop of stops) stop();
  };
  stops.push(watchReadable(one.descriptor, stopAll), watchReadable(two.descriptor, stopAll));
  send('x', one.port, two.port);
  // Both are readable before the event loop gets to look.
  await until(() => calls > 0, 'a call');
  await new Promise((resolve) => setImmediate(resolve));
  expect(calls).toBe(1);
});

it('passes an exception on to the process, and goes on', async () => {
  const { descriptor, port } = open();
  let calls = 0;
  const stop = watchReadable(descriptor, () => {
    batch.receive(descriptor);
    calls += 1;
    if (calls === 1) throw new Error('from the callback');
  });
  onTestFinished(stop);
  const uncaught = vi.fn();
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', uncaught);
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  send('x', port);
  await until(() => uncaught.mock.calls.length === 1, 'the exception');
  expect(String(uncaught.mock.calls[0]?.[0])).toBe('Error: from the callback');
  send('y', port);
  await until(() => calls === 2, 'the next call');
});

it('lets promises that are settled in a callback continue', async () => {
  const { descriptor, port } = open();
  let isContinued = false;
  const stop = watchReadable(descriptor, () => {
    batch.receive(descriptor);
    void Promise.resolve().then(() => (isContinued = true));
  });
  onTestFinished(stop);
  send('x', port);
  await until(() => isContinued, 'the promise');
});

it('throws the error of the system for a descriptor that cannot be watched', () => {
  expect(() => watchReadable(999_999, () => {})).toThrow(expect.objectContaining({ code: 'EBADF' }));
});
