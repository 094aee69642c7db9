import convict from 'convict';
import type { Format } from './format.ts';
import { isRawMap, type Path, type Raw, type RawMap } from './raw.ts';
import { environmentName } from './environment.ts';
import { isLeaf, keyOf, leavesOf, type Section } from './section.ts';

/** A tree as convict holds it. */
type Tree = { readonly [key: string]: unknown };

export interface Completed {
  /** Every leaf of the schema: what the config says, else the default. As raw values: formats read them. */
  readonly values: RawMap;
  /** The paths of the leaves whose format does not accept them. */
  readonly wrong: readonly Path[];
}

/**
 * Completes a config with the defaults of a schema and finds the values that their formats refuse. The config holds
 * only keys of the schema, and mappings exactly where it has sections.
 */
export function complete(schema: Section, config: RawMap): Completed {
  for (const { leaf } of leavesOf(schema)) register(leaf.format);
  // Layers are merged already: convict must not look at the process.
  const checked = convict<Tree>(convictSchema(schema, []), { env: {}, args: [] });
  checked.load(treeOf(config, schema));
  const wrong = wrongPaths(() => checked.validate({ allowed: 'strict' }));
  return { values: rawOf(checked.getProperties(), schema), wrong };
}

const registered = new Set<string>();

/**
 * The formats of convict are global to the process: the prefix keeps ours apart. Nothing is coerced, so that a value
 * stays what the config said until its format reads it: convict coerces text only, and a duration that had become a
 * number could not be told from a bare one.
 */
function register(format: Format<unknown>): void {
  if (registered.has(format.name)) return;
  registered.add(format.name);
  convict.addFormat({
    name: `smallservd ${format.name}`,
    validate(value: Raw) {
      // Only the name of the key is used from convict's error: what is wrong is asked of the format, with the item of
      // a list.
      if ('flaws' in format.read(value, '/')) throw new Error('refused by its format');
    },
    coerce: (value: unknown) => value,
  });
}

function convictSchema(section: Section, path: Path): convict.Schema<Tree> {
  const schema: Record<string, unknown> = {};
  for (const [key, node] of Object.entries(section)) {
    const here = [...path, key];
    if (isLeaf(node)) {
      const { doc, format, default: value } = node;
      schema[key] = { doc, format: `smallservd ${format.name}`, default: value, env: environmentName(here) };
    } else if (Object.keys(node).length > 0) {
      // An empty section would be a value to convict.
      schema[key] = convictSchema(node, here);
    }
  }
  return schema as convict.Schema<Tree>;
}

/** Convict reports one line a problem: `services.echo.idleTimeout: refused by its format: value was "10"`. */
function wrongPaths(validate: () => unknown): readonly Path[] {
  try {
    validate();
    return [];
  } catch (error) {
    const lines = error instanceof Error ? error.message.split('\n') : [];
    const paths = lines.map((line) => /^([\w.-]+): /.exec(line)?.[1]?.split('.'));
    // Anything else is a key that is not in the schema: a mistake of ours, which must not pass for a valid config.
    if (paths.includes(undefined) || paths.length === 0) throw error;
    return paths.filter((path) => path !== undefined);
  }
}

function treeOf(map: RawMap, section: Section): Tree {
  const tree: Record<string, unknown> = {};
  for (const [key, value] of map) {
    const node = keyOf(section, key);
    if (node === undefined || isLeaf(node) || !isRawMap(value)) tree[key] = value;
    else if (Object.keys(node).length > 0) tree[key] = treeOf(value, node);
  }
  return tree;
}

function rawOf(tree: Tree, section: Section): RawMap {
  const entries = Object.entries(section).map(([key, node]): [string, Raw] => {
    const value = tree[key];
    return [key, isLeaf(node) ? (value as Raw) : rawOf((value ?? {}) as Tree, node)];
  });
  return new Map(entries);
}
