import { expect, test } from 'vitest';
import { readArguments, usage } from '../../../bench/arguments.ts';

test('without arguments everything is measured, into docs', () => {
  expect(readArguments([])).toEqual({ quick: false, nodes: [], output: 'docs', only: [], from: undefined });
});

test('every option is read', () => {
  const line = '--quick --node /opt/node --node /opt/other --only daytime --output out --from reports/bench.json';
  expect(readArguments(line.split(' '))).toEqual({
    quick: true,
    nodes: ['/opt/node', '/opt/other'],
    output: 'out',
    only: ['daytime'],
    from: 'reports/bench.json',
  });
});

test('--help asks for the usage, which names every option', () => {
  expect(readArguments(['--help'])).toBeUndefined();
  for (const option of ['quick', 'node', 'only', 'output', 'from', 'help']) expect(usage).toContain(`--${option} `);
});

test('a part of the report does not replace the whole', () => {
  expect(readArguments(['--only', 'memory'])?.output).toBe('reports');
});

test('a work that does not exist is refused, with those that do', () => {
  expect(() => readArguments(['--only', 'tcp-echo'])).toThrow(
    /no work named tcp-echo: .*\btcp-echo-64,.* reload, pages$/,
  );
});

test.each(['--quik', 'fast'])('%s is refused', (argument) => {
  expect(() => readArguments([argument])).toThrow(argument);
});
