import { expect, test } from 'vitest';
import type { ProbeSample } from '../../../../src/client/probe.ts';
import { cut, formatSample } from '../../../../src/client/tool/probe-lines.ts';

const terminal = { isTerminal: true, paint: (_color: string, text: string) => text };

function sampleOf(finding: Partial<ProbeSample>): ProbeSample {
  const target = { target: 'h:1', host: 'h', port: 1, transport: 'tcp' as const, round: 1 };
  const nothing = { error: undefined, addresses: [], peer: undefined, tls: undefined, answer: undefined };
  return { ...target, ...nothing, outcome: 'ok', time: new Date(0), elapsedMs: 1.5, ...finding };
}

const head = 'h:1  ok             1.50 ms  ';

test.each([
  ['漢', '"\\u6f22"'],
  ['e\u0301\r\n', '"e\\u0301\\r\\n"'],
  ['😀', '"\\ud83d\\ude00"'],
  ['\u001b[2J\u202e', '"\\u001b[2J\\u202e"'],
  // A character is shown whole or not at all.
  [`${'a'.repeat(37)}😀`, `"${'a'.repeat(37)}…"`],
])('an answer takes one column for each character: %j', (answer, shown) => {
  expect(formatSample(sampleOf({ answer: Buffer.from(answer) }), 3, terminal, 100)).toBe(head + shown);
});

test('so does what a certificate says', () => {
  const tls = { version: 'TLSv1.3', cipher: 'AES', distrust: '漢', validDays: undefined } as ProbeSample['tls'];
  expect(formatSample(sampleOf({ tls }), 3, terminal, 100)).toBe(`${head}TLSv1.3 AES, \\u6f22`);
});

test('no character is cut in half', () => {
  expect(cut('a😀bc', 3)).toBe('a…');
  expect(cut('a😀bc', 4)).toBe('a😀…');
  expect(cut('a😀bc', 5)).toBe('a😀bc');
});
