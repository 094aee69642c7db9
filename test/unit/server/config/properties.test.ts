import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { commonSchema, daemonSchema, ownSchema } from '../../../../src/server/config/schema.ts';
import { ConfigInvalidError } from '../../../../src/errors.ts';
import { type ConfigSource, loadConfig } from '../../../../src/server/config/load.ts';
import { sourceOf } from './sources.ts';

/** Loads it: either it is a config, or all that is wrong is said in well-formed problems. */
async function survives(source: ConfigSource): Promise<void> {
  try {
    const { config } = await loadConfig(source, { importModules: true });
    expect(config.services.length).toBeGreaterThan(0);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const { where, message } of error.problems) {
      expect(where).not.toBe('');
      // oxlint-disable-next-line no-control-regex
      expect(message).not.toMatch(/[\u0000-\u001f]/);
    }
  }
}

const words = fc.constantFrom(
  ...Object.keys({ ...daemonSchema, ...commonSchema, ...ownSchema }),
  ...'services defaults echo daytime format perSecond enabled default toString a.b'.split(' '),
  ...'__proto__ constructor prototype hasOwnProperty _cvtProperties'.split(' '),
  '',
);
const values = fc.oneof(
  fc.constantFrom(
    'tcp://localhost:0',
    'udp://*:19',
    '5m',
    '4MiB',
    'auto',
    'echo',
    'never',
    './x.js',
    '*',
    '&a',
    '<<',
    '[',
    '{',
  ),
  fc.constantFrom(true, false, null, 0, 1, -1, 1e300, Number.NaN),
  fc.string(),
  fc.integer(),
);

const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    values,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc
      .array(fc.tuple(fc.oneof({ arbitrary: words, weight: 9 }, { arbitrary: fc.string(), weight: 1 }), tie('tree')), {
        maxLength: 5,
      })
      .map(objectOf),
  ),
}));

/** As JSON.parse makes it: `__proto__` is a key like any other. */
function objectOf(entries: readonly (readonly [string, unknown])[]): unknown {
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
}

const section = fc
  .array(fc.tuple(words, tree), { maxLength: 6 })
  .map((entries) => objectOf([['listen', 'tcp://localhost:0'], ...entries]));
const config = fc
  .tuple(fc.array(fc.tuple(words, tree), { maxLength: 4 }), section, section)
  .map(([entries, echo, daytime]) =>
    objectOf([
      ...entries,
      [
        'services',
        objectOf([
          ['echo', echo],
          ['daytime', daytime],
        ]),
      ],
    ]),
  );

test('loads or rejects any object', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(config, tree, fc.anything()), (given) =>
      survives({ ...sourceOf(''), text: undefined, tree: given }),
    ),
    { numRuns: 300 },
  );
});

test('loads or rejects any YAML', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(config, tree), (given) => survives(sourceOf(stringify(given) ?? ''))),
    { numRuns: 200 },
  );
});

test('loads or rejects any text', async () => {
  const pieces = fc.constantFrom(
    'services',
    ':',
    ' ',
    '\n',
    '  ',
    '- ',
    '[',
    ']',
    '{',
    '}',
    '&a',
    '*a',
    '!!x',
    '"',
    "'",
    '#',
    '|',
    '---',
    '%',
    '\t',
    '\0',
    '?',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces, { maxLength: 30 }).map((all) => all.join('')),
  );
  await fc.assert(
    fc.asyncProperty(text, (given) => survives(sourceOf(given))),
    { numRuns: 300 },
  );
});

test('loads or rejects any environment and --set', async () => {
  const name = fc.array(
    fc.constantFrom('SERVICES', 'ECHO', 'LISTEN', '__', '_', 'LOG', 'PROTO', 'CONSTRUCTOR', 'WORKERS'),
    { maxLength: 7 },
  );
  const env = fc.dictionary(
    name.map((parts) => `SMALLSERVD_${parts.join('')}`),
    fc.string({ unit: 'binary' }),
    { maxKeys: 3 },
  );
  const key = fc.array(fc.oneof(words, fc.string()), { maxLength: 4 }).map((steps) => steps.join('.'));
  const set = fc
    .tuple(key, fc.oneof(fc.string(), fc.constantFrom('[a', '[1, {a: 2}]', '&a [*a]')))
    .map((pair) => pair.join('='));
  const text = 'services: { echo: { listen: tcp://localhost:0 } }';
  await fc.assert(
    fc.asyncProperty(env, fc.array(set, { maxLength: 3 }), (variables, sets) =>
      survives(sourceOf(text, { env: variables, sets })),
    ),
    { numRuns: 300 },
  );
});

test('reports a problem of a service regardless of problems in another', async () => {
  await fc.assert(
    fc.asyncProperty(section, async (wrong) => {
      const services = objectOf([
        ['echo', wrong],
        ['time', { listen: 'tcp://localhost:0', backlog: 'none' }],
      ]);
      const source = { ...sourceOf(''), text: undefined, tree: { services } };
      await expect(loadConfig(source, { importModules: true })).rejects.toThrow(
        'services.time.backlog: "none" is not a whole number from 1 to 65535',
      );
    }),
  );
});
