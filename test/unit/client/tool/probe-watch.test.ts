import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../../src/outcomes.ts';
import type { ProbeSample } from '../../../../src/client/probe.ts';
import { ProbeTable } from '../../../../src/client/tool/probe-watch.ts';

function sample(target: string, outcome: Outcome, round: number): ProbeSample {
  const time = new Date(2026, 10, 22, 19, 18, round);
  const nothing = { error: undefined, addresses: [], peer: undefined, tls: undefined, answer: undefined };
  return { target, host: 'h', port: 1, transport: 'tcp', round, outcome, time, elapsedMs: 1.5, ...nothing };
}

const terminal = { isTerminal: true, columns: 60, rows: 24, paint: (_color: string, text: string) => text };

describe('the table of targets', () => {
  test('marks what has just changed, and remembers the change', () => {
    const table = new ProbeTable(['h:1', 'h:22', 'h:1']);
    expect(table.add(sample('h:22', 'ok', 1))).toBe(true);
    expect(table.add(sample('h:1', 'ok', 1))).toBe(true);
    expect(table.add(sample('h:1', 'ok', 2))).toBe(false);
    expect(table.add(sample('h:22', 'refused', 2))).toBe(true);
    expect(table.draw(terminal)).toEqual([
      '19:18:02  round 2  1 ok, 1 refused',
      '  h:1   ok             1.50 ms',
      '* h:22  refused        1.50 ms  was ok until 19:18:02',
    ]);
    table.add(sample('h:22', 'refused', 3));
    expect(table.draw(terminal)[2]).toBe('* h:22  refused        1.50 ms  was ok until 19:18:02');
    table.add(sample('h:22', 'refused', 4));
    expect(table.draw(terminal)[2]).toBe('  h:22  refused        1.50 ms  was ok until 19:18:02');
    for (const line of table.draw({ ...terminal, columns: 40 })) expect(line.length).toBeLessThan(40);
  });

  test('leaves out targets that are ok if the terminal is too low for all', () => {
    const table = new ProbeTable(Array.from({ length: 30 }, (_, index) => `h:${index + 1}`));
    for (let port = 1; port <= 30; port += 1) table.add(sample(`h:${port}`, port === 20 ? 'timeout' : 'ok', 1));
    expect(table.draw(terminal)).toEqual([
      '19:18:01  round 1  29 ok, 1 timeout',
      '  h:20  timeout        1.50 ms',
      '  and 29 more',
    ]);
    for (let port = 1; port <= 30; port += 1) table.add(sample(`h:${port}`, 'refused', 2));
    expect(table.draw(terminal)).toHaveLength(23);
  });
});
