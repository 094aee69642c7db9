import { describe, expect, it } from 'vitest';
import type { Figure } from './figures.ts';
import {
  attacks,
  attacksOfStrangers,
  isWhole,
  printReport,
  replaceSection,
  rowsOf,
  sectionOf,
  writeReport,
} from './report.ts';

const circumstances = {
  date: '2026-11-22',
  versions: [['smallservd', '1.2.3']] as const,
  machine: 'a machine, 2 CPUs, 4 GiB of memory',
};

function figure(attack: number, more: Partial<Figure> = {}): Figure {
  const what = `what ${attack} counts`;
  return { attack, what, server: 'smallservd', measured: '0', bound: '0', holds: true, ...more };
}

const whole = attacks.flatMap((_words, index) => [
  figure(index + 1),
  ...(index < attacksOfStrangers ? [figure(index + 1, { server: 'sockets: node' })] : []),
]);

/** The lines of the table, each without its first and last bar. */
function tableOf(report: string): readonly string[] {
  return report.split('\n').flatMap((line) => /^\| (.*) \|$/.exec(line)?.[1] ?? []);
}

describe('the report on the attacks', () => {
  it('has a row for each attack, including those that were not run', () => {
    const lines = tableOf(writeReport([figure(3)], circumstances, ''));
    expect(lines).toHaveLength(18);
    expect(lines[1]).toBe('1 | reflection from 1, 1,000 and 100,000 spoofed sources | not run |  |  |  |  |  | ');
    expect(lines[3]).toBe('3 | source port 0 | what 3 counts | 0 | 0 |  |  |  | yes');
  });

  it('has a row for each figure and names its attack once', () => {
    const lines = tableOf(writeReport([figure(3), figure(3, { what: 'a|b' })], circumstances, ''));
    expect(lines[4]).toBe(String.raw` |  | a\|b | 0 | 0 |  |  |  | yes`);
  });

  it('shows a broken bound even if it held in a later run', () => {
    const figures = [figure(3, { measured: '1', holds: false }), figure(3)];
    expect(tableOf(writeReport(figures, circumstances, ''))[3]).toContain('| 0 | 1 |  |  |  | **BROKEN**');
    expect(printReport(figures)).toContain('**BROKEN**');
  });

  it('shows the other servers next to the daemon, in any order of figures', () => {
    const rows = rowsOf([
      { attack: 3, what: 'answers', server: 'xinetd', measured: '7' },
      figure(3, { what: 'answers', measured: '0' }),
      { attack: 3, what: 'answers', server: 'inetutils-inetd', measured: 'ended' },
    ]);
    expect(rows[2]).toEqual({
      attack: 3,
      what: 'answers',
      bound: '0',
      measured: { smallservd: '0', xinetd: '7', 'inetutils-inetd': 'ended' },
      holds: true,
    });
  });

  it.each([
    [{ measured: '1' }, '0 | 0 | 1 |  |  | yes'],
    [{ measured: '1', bound: 'at most 2' }, '0 | 0 | 1 (at most 2) |  |  | yes'],
    [{ measured: '3', bound: 'at most 2', holds: false }, '0 | 0 | 3 (at most 2) |  |  | **BROKEN**'],
  ])('shows the same with the sockets of Node next to it: %o', (more, end) => {
    const report = writeReport([figure(3), figure(3, { server: 'sockets: node', ...more })], circumstances, '');
    expect(tableOf(report)[3]).toBe(`3 | source port 0 | what 3 counts | ${end}`);
  });

  it('states date, versions and machine', () => {
    const report = writeReport(whole, circumstances, '');
    expect(report).toContain('- Date: 2026-11-22\n- Versions: smallservd 1.2.3\n- Machine: a machine, 2 CPUs');
  });

  it('is complete when every attack has a figure', () => {
    expect(isWhole(whole)).toBe(true);
    expect(isWhole(whole.slice(1))).toBe(false);
    expect(isWhole(whole.filter(({ server }) => server === 'smallservd'))).toBe(false);
    expect(isWhole([])).toBe(false);
  });

  it('keeps a section written by another program', () => {
    const report = writeReport(whole, circumstances, '');
    expect(sectionOf(report, 'soak')).toBe('');
    const soaked = replaceSection(report, 'soak', 'a\nb\n');
    expect(sectionOf(soaked, 'soak')).toBe('a\nb\n');
    expect(writeReport(whole, circumstances, 'a\nb\n')).toBe(soaked);
    expect(replaceSection(soaked, 'soak', '')).toBe(report);
  });

  it('rejects a section that does not exist', () => {
    expect(sectionOf('', 'soak')).toBeUndefined();
    expect(sectionOf('<!-- soak -->\n', 'soak')).toBeUndefined();
    expect(() => replaceSection('', 'soak', '')).toThrow('there is no section <!-- soak -->');
  });
});
