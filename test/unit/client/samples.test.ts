import { expect, test } from 'vitest';
import { echoPingSamples, loadSamples, pingSamples, Samples } from '../../../src/client/samples.ts';
import { serve } from '../../support/daemon.ts';
import { freePort } from '../../support/ports.ts';

async function echoHost(): Promise<string> {
  const { host, port } = (await serve({ echo: { listen: ['tcp://127.0.0.1:0'] } })).target('echo', 'tcp');
  return `${host}:${port}`;
}

test('a loop gets every event, and the result is there after it', async () => {
  const samples = echoPingSamples(await echoHost(), { count: 3, intervalMs: 1 });
  const kinds: string[] = [];
  for await (const { kind } of samples) kinds.push(kind);
  expect(kinds.toSorted()).toEqual(['answered', 'answered', 'answered', 'sent', 'sent', 'sent']);
  expect(await samples.result).toMatchObject({ sent: 3, received: 3, isRight: true });
});

test('leaving the loop ends the run', async () => {
  const samples = echoPingSamples(await echoHost(), { intervalMs: 1 });
  for await (const { kind } of samples) if (kind === 'answered') break;
  expect((await samples.result).received).toBeGreaterThanOrEqual(1);
});

test('the signal ends the loop', async () => {
  const abort = new AbortController();
  const samples = echoPingSamples(await echoHost(), { intervalMs: 1, signal: abort.signal });
  for await (const { kind } of samples) if (kind === 'answered') abort.abort();
  expect((await samples.result).isRight).toBe(true);
});

test('a load gives its seconds', async () => {
  const samples = loadSamples(await echoHost(), { requests: 20, connections: 2 });
  let answered = 0;
  for await (const second of samples) answered += second.answered;
  expect([answered, (await samples.result).answered]).toEqual([20, 20]);
});

test('a run that fails throws in the loop', async () => {
  const wrong = [
    echoPingSamples(`127.0.0.1:${await freePort()}`),
    loadSamples(`127.0.0.1:${await freePort()}`),
    pingSamples('127.0.0.1:7'),
  ];
  const codes = wrong.map(async (samples) => {
    try {
      for await (const sample of samples) expect(sample).toBeUndefined();
    } catch (error) {
      return (error as { code?: string }).code;
    }
    return 'none';
  });
  expect(await Promise.all(codes)).toEqual(['CONNECT_FAILED', 'CONNECT_FAILED', 'ARGUMENT_INVALID']);
});

test('a loop that is too slow misses the oldest samples', async () => {
  const samples = new Samples<number, string>(async (observe) => {
    for (let sample = 0; sample < 1030; sample += 1) observe(sample);
    return 'done';
  }, undefined);
  const seen: number[] = [];
  for await (const sample of samples) seen.push(sample);
  expect([seen.length, seen[0], seen.at(-1), samples.dropped]).toEqual([1024, 6, 1029, 6]);
  expect(await samples.result).toBe('done');
});
