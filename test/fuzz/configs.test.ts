import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ConfigSource, loadConfig } from '../../src/server/config/load.ts';
import type { LoadedConfig } from '../../src/server/config/loaded-config.ts';
import { printYaml } from '../../src/server/config/print.ts';
import { ConfigInvalidError } from '../../src/errors.ts';
import { root } from '../support/daemon-process.ts';

const directory = join(root, 'config');
const shipped = ['smallservd.yaml', 'well-known.yaml', 'sockets.yaml'].map((file) =>
  readFileSync(join(directory, file), 'utf8'),
);

/** What YAML and configs are made of, and what they are not. */
const token = fc.constantFrom(
  ...': - # | > & * ! % @ ` \' " [ ] { } , ? --- ... << &a *a !!str !!binary !x ~ null true 0 -1 1e9 0x7 .inf .nan'.split(
    ' ',
  ),
  ...'services: defaults: echo: listen: module: type: options: format: nist workers: log: never 5m 1TiB auto'.split(
    ' ',
  ),
  ...'tcp://localhost:0 udp://*:19 unix:///tmp/x fd://3 systemd:echo 10.0.0.0/8 ./no.js __proto__: a.b'.split(' '),
  '\n',
  '\n  ',
  '\n    ',
  '  ',
  '\t',
  '\r',
  '\0',
  '\u0085',
  '\ufeff',
  '\ud800',
  '\u{1f600}',
);

/** A change of a text: cut, put in, a line twice, two lines exchanged. */
type Edit = (text: string) => string;

const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(position, fc.nat(30)).map(
    ([at, length]): Edit =>
      (text) => {
        const start = Math.floor(at * text.length);
        return text.slice(0, start) + text.slice(start + length);
      },
  ),
  fc.tuple(position, fc.oneof(token, fc.string({ unit: 'binary', maxLength: 5 }))).map(
    ([at, put]): Edit =>
      (text) => {
        const start = Math.floor(at * text.length);
        return text.slice(0, start) + put + text.slice(start);
      },
  ),
  // In place of a value: the rest of some line.
  fc
    .tuple(position, fc.array(token, { maxLength: 3 }))
    .map(([at, put]) => changeLines(at, (line) => [line.replace(/:.*/, `: ${put.join(' ')}`)])),
  position.map((at) => changeLines(at, (line) => [line, line])),
  position.map((at) => changeLines(at, () => [])),
  fc
    .tuple(position, fc.constantFrom('  ', '    ', '\t'))
    .map(([at, indent]) => changeLines(at, (line) => [indent + line])),
  position.map((at) => changeLines(at, (line) => [line.trimStart()])),
);

function changeLines(at: number, change: (line: string) => readonly string[]): Edit {
  return (text) => {
    const lines = text.split('\n');
    const index = Math.floor(at * lines.length);
    return lines.flatMap((line, each) => (each === index ? change(line) : [line])).join('\n');
  };
}

/** A shipped config, changed in a few places. */
const mutant = fc
  .tuple(fc.constantFrom(...shipped), fc.array(edit, { minLength: 1, maxLength: 6 }))
  .map(([text, edits]) => edits.reduce((edited, change) => change(edited), text));

/** Lines of tokens, indented as they come. */
const patchwork = fc
  .array(
    fc
      .tuple(fc.nat(4), fc.array(token, { maxLength: 5 }))
      .map(([indent, tokens]) => ' '.repeat(2 * indent) + tokens.join(' ')),
    { maxLength: 15 },
  )
  .map((lines) => lines.join('\n'));

/** Anchors that stand for each other: small texts that mean large documents, or themselves. */
const anchored = fc
  .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 9 }), fc.boolean())
  .map(([levels, width, isMap]) => {
    const all = Array.from({ length: levels }, (_, level) => {
      const inner = Array.from({ length: width }, (_each, index) => {
        const value = level === 0 ? 'x' : `*a${level - 1}`;
        return isMap ? `k${index}: ${value}` : value;
      }).join(', ');
      return `k${level}: &a${level} ${isMap ? `{ ${inner} }` : `[ ${inner} ]`}`;
    });
    return `${all.join('\n')}\nself: &self [*self]\nservices: { echo: { listen: tcp://localhost:0 } }\n`;
  });

/** Brackets within brackets. */
const nested = fc
  .tuple(fc.integer({ min: 1, max: 5000 }), fc.constantFrom('[', '{ a: ', '- ', '? ', '!!seq ['))
  .map(([depth, opening]) => `services: ${opening.repeat(depth)}`);

test.each([
  ['shipped configs with a few changes', mutant, 50],
  ['YAML tokens in any order', patchwork, 500],
  ['aliases of aliases', anchored, 12],
  ['nested brackets', nested, 20],
] as const)('%s load as a config or fail with positions', async (_what, texts, numRuns) => {
  await fc.assert(
    fc.asyncProperty(texts, (text) => judge(text)),
    { numRuns },
  );
});

test('the maximum number of aliases is resolved quickly after many other nodes', async () => {
  const aliases = Array.from({ length: 15_000 }, () => '*a').join(', ');
  const others = 'x, '.repeat(50_000);
  await judge(`? [${others}]\n: 0\nservices: { echo: { listen: &a tcp://localhost:0, allow: [${aliases}] } }`);
});

/** Loads a text: a config that prints and loads again as the same, or a list of what is wrong, and where. */
async function judge(text: string): Promise<void> {
  let loaded: LoadedConfig;
  try {
    loaded = await load(text);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    const lines = text.split('\n').length;
    for (const { where, message } of error.problems) {
      expect(message).not.toBe('');
      const [, line, column] = /^fuzz\.yaml(?::(\d+):(\d+))?$/.exec(where) ?? [where];
      expect(where).toMatch(/^fuzz\.yaml/);
      if (line === undefined) continue;
      expect(Number(line)).toBeGreaterThan(0);
      expect(Number(line)).toBeLessThanOrEqual(lines);
      expect(Number(column)).toBeGreaterThan(0);
    }
    return;
  }
  const again = await load(printYaml(loaded.printed));
  expect(again.printed).toEqual(loaded.printed);
}

async function load(text: string): Promise<LoadedConfig> {
  const source: ConfigSource = { name: 'fuzz.yaml', directory: directory, text, env: {}, sets: [] };
  return await loadConfig(source, { importModules: true });
}
