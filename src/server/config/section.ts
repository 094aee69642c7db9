import type { Format } from './format.ts';
import { isRawMap, type Path, type Raw, type RawMap } from './raw.ts';

/** One key of the config: its documentation, how it is read, and what it is when nothing is said. */
export interface Leaf<Value> {
  readonly doc: string;
  readonly format: Format<Value>;
  /** As a config would hold it. */
  readonly default: Raw;
}

/** Keys, and sections of keys below them. */
export type Section = { readonly [key: string]: Leaf<unknown> | Section };

/** The values that the leaves of a section give. */
export type Values<Keys extends Section> = {
  readonly [Key in keyof Keys]: Keys[Key] extends Leaf<infer Value>
    ? Value
    : Keys[Key] extends Section
      ? Values<Keys[Key]>
      : never;
};

export function isLeaf(node: Leaf<unknown> | Section | undefined): node is Leaf<unknown> {
  // A section may have a key `doc`, but then it holds a leaf or a section, not text.
  return typeof node?.['doc'] === 'string';
}

/** Keys as the config has them: the built-in property names of objects are not among them. */
export function keyOf(section: Section, key: string): Leaf<unknown> | Section | undefined {
  return Object.hasOwn(section, key) ? section[key] : undefined;
}

/** Every leaf with its path, in the order of the schema. */
export function* leavesOf(section: Section, path: Path = []): Generator<{ path: Path; leaf: Leaf<unknown> }> {
  for (const [key, node] of Object.entries(section)) {
    if (isLeaf(node)) yield { path: [...path, key], leaf: node };
    else yield* leavesOf(node, [...path, key]);
  }
}

export function rawAt(raw: Raw | undefined, path: Path): Raw | undefined {
  let value = raw;
  for (const step of path) value = isRawMap(value) ? value.get(String(step)) : undefined;
  return value;
}

/** The same section with other defaults, where `raw` holds them. */
export function withDefaults<Keys extends Section>(section: Keys, raw: RawMap): Keys {
  const entries = Object.entries(section).map(([key, node]) => {
    const given = raw.get(key);
    if (given === undefined) return [key, node];
    if (isLeaf(node)) return [key, { ...node, default: given }];
    return [key, isRawMap(given) ? withDefaults(node, given) : node];
  });
  return Object.fromEntries(entries) as Keys;
}

/** Reads every leaf. What is read must have been found free of flaws before. */
export function readSection<Keys extends Section>(section: Keys, raw: RawMap, directory: string): Values<Keys> {
  const entries = Object.entries(section).map(([key, node]) => {
    const value = raw.get(key);
    if (!isLeaf(node)) return [key, readSection(node, isRawMap(value) ? value : new Map(), directory)];
    const reading = node.format.read(value === undefined ? node.default : value, directory);
    if ('flaws' in reading) throw new TypeError(`${key}: ${reading.flaws[0]?.message ?? node.format.expected}`);
    return [key, reading.value];
  });
  return Object.fromEntries(entries) as Values<Keys>;
}
