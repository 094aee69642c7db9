import { describe, expect, it } from 'vitest';
import { readWords } from '../../../../src/server/command/faults.ts';

it.each([
  ['loss=0.2', { loss: '0.2' }],
  ['seed=7', { seed: '7' }],
  ['delay=50ms', { 'delay.time': '50ms' }],
  ['delay=50ms±10ms', { 'delay.time': '50ms', 'delay.jitter': '10ms' }],
  ['delay=50ms+-10ms@0.5', { 'delay.time': '50ms', 'delay.jitter': '10ms', 'delay.probability': '0.5' }],
  ['delay.distribution=pareto', { 'delay.distribution': 'pareto' }],
  ['reorder=20ms@0.05', { 'reorder.time': '20ms', 'reorder.probability': '0.05' }],
  ['truncate=4', { 'truncate.size': '4' }],
  ['answers=3', { 'answers.count': '3' }],
  ['rate=8KiB', { 'rate.perSecond': '8KiB' }],
  ['closeAfter=64KiB', { 'closeAfter.size': '64KiB' }],
  ['resetAfter=5s@0.1', { 'resetAfter.time': '5s', 'resetAfter.probability': '0.1' }],
  ['maxDelayed.bytes=1MiB', { 'maxDelayed.bytes': '1MiB' }],
  // The daemon says what is wrong with it.
  ['dealy=5', { dealy: '5' }],
  ['off', {}],
])('reads %s', (word, expected) => {
  expect(readWords([word])).toEqual(expected);
});

describe('refuses', () => {
  it.each([
    ['for=5m'],
    ['delay=50ms±10ms±3'],
    ['delay=50ms+-10ms+-3'],
    ['delay=50ms@0.5@0.1'],
    ['delay=50ms@0.5±3ms'],
    ['delay=±3ms'],
    ['reorder=20ms@0.5@0.1'],
    ['truncate=4@'],
    ['loss=0.1', 'loss=0.9'],
    ['delay=5ms', 'delay.time=6ms'],
    ['closeAfter=5s@0.1', 'closeAfter=5@0.2'],
  ])('%s %s', (...words) => {
    expect(() => readWords(words)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
  });

  it.each([[[]], [['lots']], [['off', 'loss=1']], [['loss=']], [['=1']], [['a.b.c=1']], [['loss=1 2']]])(
    '%j',
    (words) => {
      expect(() => readWords(words)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
    },
  );
});
