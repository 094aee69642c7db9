import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { PageEvent } from '../../../../src/server/admin/live.ts';
import { renderAll, renderFrame, type TopState } from '../../../../src/server/top/frame.ts';
import { asciiGlyphs, lineWidth, unicodeGlyphs } from '../../../../src/server/top/text.ts';
import { firstView, sortKeys } from '../../../../src/server/top/view.ts';
import { after, events, status, textOf, topState } from './state.ts';

const usual = { columns: 80, rows: 24 };

function frame(state: TopState = topState(), size = usual, glyphs = asciiGlyphs): string {
  return textOf(renderFrame(state, size, glyphs).lines);
}

describe('a frame', () => {
  it('shows the daemon, charts, and as much of the tables as there is room for', () => {
    expect(frame()).toMatchInlineSnapshot(`
      "smallservd 1.2.3  ready  up 1h 2m                           tcp://localhost:9013
      process 4711, config /etc/smallservd.yaml (0123456789ab)
      requests/s        10                  #  clients            2                  #
      received/s     2 KiB                  #  sent/s             -
      refused/s          -                     dropped/s          -                  #

      SERVICE          CLIENTS   REQ/S      IN/S     OUT/S  REFUSED  DROPPED  5 MIN
      echo                   2    12.5     2 KiB     1 KiB        3        4        .#
      time (1 closed)        0     700     2 KiB     1 KiB        3        4        _#

      SERVICE  REFUSED OR DROPPED  REASON       COUNT  MOSTLY
      echo     refused             rate             3  -
      echo     dropped             source-port      4  -
      time     refused             rate             3  -
      time     dropped             source-port      4  -

      PROCESS     STATUS    PID    MEMORY      HEAP    CPU      LAG  RESTARTS  AGE
      supervisor  running  4711    60 MiB  8.58 MiB      -   1.5 ms         -    -
      worker 1    ready    4712    64 MiB  0.98 KiB      -     2 ms         -    -
      worker 2    waiting     -         -         -      -        -         -    -

      SERVICE  TOP SOURCE  CLIENTS
      echo     192.0.2.7         2
      q quit  s sort: config  p pause  / filter  ? help                        1-17/26"
    `);
  });

  it('shows less at 60 columns', () => {
    expect(frame(topState(), { columns: 60, rows: 16 })).toMatchInlineSnapshot(`
      "smallservd 1.2.3  ready  up 1h 2m       tcp://localhost:9013
      process 4711, config /etc/smallservd.yaml (0123456789ab)
      requests/s        10       -#  clients            2        #
      received/s     2 KiB        #  sent/s             -
      refused/s          -           dropped/s          -       ##

      SERVICE          CLIENTS   REQ/S     OUT/S  5 MIN OF REQ/S
      echo                   2    12.5     1 KiB                .#
      time (1 closed)        0     700     1 KiB                _#

      SERVICE  REFUSED OR DROPPED  REASON       COUNT  MOSTLY
      echo     refused             rate             3  -
      echo     dropped             source-port      4  -
      time     refused             rate             3  -
      time     dropped             source-port      4  -
      q quit  s sort: config  p pause  / filter  ? help     1-9/26"
    `);
  });

  it('shows all tables, if there is room', () => {
    const heads = frame(topState(), { columns: 120, rows: 60 }, unicodeGlyphs).match(/^[A-Z].*/gm) ?? [];
    expect(heads.map((head) => head.split(/ {2,}/).slice(0, 2).join(' '))).toEqual([
      'SERVICE CLIENTS',
      'SERVICE REFUSED OR DROPPED',
      'PROCESS STATUS',
      'SERVICE TOP SOURCE',
      'SERVICE FAULT',
      'TIME LEVEL',
      'RELOAD RESULT',
    ]);
  });

  it('says that a terminal is too small', () => {
    expect(frame(topState(), { columns: 59, rows: 24 })).toBe('needs 60 columns and 10 rows, has 59 and 24');
    expect(frame(topState(), { columns: 10, rows: 24 })).toBe('needs 60 ~');
  });

  it('says that there is no connection, and dims all else', () => {
    const lost = { sinceMs: Date.now(), reason: 'connection refused' };
    const { lines } = renderFrame(topState({ lost }), usual, unicodeGlyphs);
    expect(textOf(lines)).toMatch(/^disconnected at [\d:]{8}, reconnecting: connection refused$/m);
    const styles = lines.flat().map(({ style }) => style);
    expect(styles.filter((style) => style !== 'dim')).toEqual(['inverse']);
  });

  it('says why the daemon is not ready', () => {
    const notReady = ['echo tcp://127.0.0.1:7 is not open'];
    const data = after([...events, { name: 'status', value: { ...status, notReady } }]);
    expect(frame(topState({ data }))).toMatch(
      /^smallservd 1\.2\.3 {2}not ready .*\nnot ready: echo tcp:\/\/127\.0\.0\.1:7 is not open$/m,
    );
  });

  test.each([
    ['config', ['echo', 'time']],
    ['requests', ['time', 'echo']],
    ['clients', ['echo', 'time']],
  ] as const)('sorts services by %s', (sort, names) => {
    const shown = frame(topState({ view: { ...firstView, sort } }));
    expect([...shown.matchAll(/^(echo|time)(?: \(1 closed\))? +\d+ +\d/gm)].map(([, name]) => name)).toEqual(names);
  });

  it('shows only rows with the text of the filter', () => {
    const shown = frame(topState({ view: { ...firstView, filter: 'TIM' } }), { columns: 80, rows: 60 });
    expect(shown).toMatch(/^time \(1 closed\)/m);
    expect(shown).not.toMatch(/^echo/m);
    expect(shown).toContain('/ TIM');
  });

  it('scrolls the tables, but not beyond the last', () => {
    const state = topState({ view: { ...firstView, scroll: 1000 } });
    const { lines, extent } = renderFrame(state, usual, asciiGlyphs);
    expect(textOf(lines)).toContain('no such file (and 1 more)');
    expect(textOf(lines)).toContain(`${extent.lines - extent.page + 1}-${extent.lines}/${extent.lines}`);
  });
});

/** Text with all that a terminal could take for something else. */
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\u001b', '漢', '🙂', '\u0301', '\t', '\n', '\ud800', 'a', '\u202e', '\u009b') }),
  fc.constant('x'.repeat(1000)),
);
const count = fc.oneof(fc.nat(), fc.constantFrom(0, 1e300, Number.MAX_VALUE, 0.001));

/** What an impostor may send: any text and any numbers. */
const stranger = fc
  .record({ name: anything, text: anything, count, rows: fc.integer({ min: 0, max: 8 }) })
  .map(({ name, text, count: number, rows }): readonly PageEvent[] => {
    const rates = { requests: number, bytesIn: number, bytesOut: number, refused: number, dropped: number };
    const echo = {
      ...status.services.echo,
      rates,
      topSources: Array.from({ length: rows }, () => ({ source: text, connections: number })),
    };
    return [
      ...events,
      {
        name: 'status',
        value: {
          ...status,
          version: text,
          notReady: rows % 2 === 0 ? [] : [text],
          config: { name: text, hash: text },
          services: { [name]: echo, [text]: echo },
        },
      },
      { name: 'faults', value: { [name]: { [text]: { value: text } } } },
      {
        name: 'log',
        value: Array.from({ length: rows }, () => ({
          level: text,
          time: text,
          message: text,
          fields: { [name]: text },
        })),
      },
      { name: 'reloads', value: [{ at: '2026-11-22T11:07:12.000Z', tookMs: number, error: text, errors: rows }] },
    ];
  });

const views = fc.record({
  sort: fc.constantFrom(...sortKeys),
  filter: fc.oneof(fc.constant(''), anything),
  isFiltering: fc.boolean(),
  isPaused: fc.boolean(),
  showsHelp: fc.boolean(),
  scroll: fc.nat({ max: 100 }),
});

test('no line is wider than the terminal or controls it, whatever the daemon sends', () => {
  const sizes = fc.record({ columns: fc.integer({ min: 1, max: 250 }), rows: fc.integer({ min: 1, max: 80 }) });
  const losses = fc.option(
    anything.map((reason) => ({ sinceMs: 0, reason })),
    { nil: undefined },
  );
  fc.assert(
    fc.property(stranger, views, sizes, losses, fc.boolean(), (all, view, size, lost, isUnicode) => {
      const state = { endpoint: 'tcp://localhost:9013', data: after(all), view, lost };
      const glyphs = isUnicode ? unicodeGlyphs : asciiGlyphs;
      const { lines } = renderFrame(state, size, glyphs);
      expect(lines).toHaveLength(size.rows);
      for (const line of [...lines, ...renderAll(state, Math.max(size.columns, 60), glyphs)]) {
        const text = textOf([line]);
        expect(lineWidth(line)).toBeLessThanOrEqual(Math.max(size.columns, lines.includes(line) ? 0 : 60));
        expect(text).toMatch(isUnicode ? /^[^\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]*$/u : /^[ -~]*$/);
      }
    }),
    { numRuns: 60 },
  );
});
