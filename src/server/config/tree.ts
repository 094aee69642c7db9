/** A config before anything has read it: a tree that knows the location of each value. */
import type { Path, Raw } from './raw.ts';

/** The location of a value, and its rank in the order of reported problems. */
export interface Place {
  /** `file:line:column`, the name of a variable, or a command-line option. */
  readonly where: string;
  readonly rank: number;
  /** The key that `where` itself names; undefined for a location in a file. */
  readonly names: Path | undefined;
}

/** The source of values: a file, a variable or an option. `offset` is the position in it. */
export type Origin = (offset: number) => Place;

type Scalar = string | number | boolean | null;

/** A value with its location. Maps, not objects, so that no key is special. */
export interface ConfigNode {
  readonly value: Scalar | readonly ConfigNode[] | ConfigMap;
  readonly origin: Origin;
  /** Offset of its key, or of the value if it has none. */
  readonly keyOffset: number;
  readonly offset: number;
}

export type ConfigMap = Map<string, ConfigNode>;

interface MapNode extends ConfigNode {
  readonly value: ConfigMap;
}

interface ListNode extends ConfigNode {
  readonly value: readonly ConfigNode[];
}

export function isMapNode(node: ConfigNode | undefined): node is MapNode {
  return node?.value instanceof Map;
}

function isListNode(node: ConfigNode | undefined): node is ListNode {
  return Array.isArray(node?.value);
}

/** Strips the locations. */
export function rawOf(node: ConfigNode): Raw {
  if (isMapNode(node)) return new Map([...node.value].map(([key, each]) => [key, rawOf(each)]));
  return isListNode(node) ? node.value.map(rawOf) : (node.value as Scalar);
}

/** Converts to plain JavaScript objects. */
export function plainOf(node: ConfigNode): unknown {
  if (isMapNode(node)) return Object.fromEntries([...node.value].map(([key, each]) => [key, plainOf(each)]));
  return isListNode(node) ? node.value.map(plainOf) : node.value;
}

/** Deeper than any config. Refused, so that no recursion can be made to overflow the stack. */
export const maxDepth = 20;

/**
 * Converts a plain object to a tree. `refuse` is called for each value that a config cannot hold (a function, a cycle).
 * Such values are left out, as undefined ones are.
 */
export function treeOfObject(
  value: unknown,
  origin: Origin,
  refuse: (path: Path, message: string) => void,
  path: Path = [],
): ConfigNode {
  return { value: contentOf(value, origin, refuse, path), origin, keyOffset: 0, offset: 0 };
}

function contentOf(
  value: unknown,
  origin: Origin,
  refuse: (path: Path, message: string) => void,
  path: Path,
): ConfigNode['value'] {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  const below = (each: unknown, step: string | number): ConfigNode =>
    treeOfObject(each, origin, refuse, [...path, step]);
  if (path.length > maxDepth) refuse(path, 'is nested too deeply');
  else if (Array.isArray(value)) return value.map(below);
  else if (isPlainObject(value)) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return new Map(entries.map(([key, each]) => [key, below(each, key)]));
  } else
    refuse(
      path,
      'is not a value that a config can hold: expected text, a number, true, false, null, a list or a plain object',
    );
  return null;
}

export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Sets a value in a tree. Anything on the path that is not a mapping is replaced by a mapping. */
export function setNode(root: ConfigMap, path: readonly string[], node: ConfigNode): void {
  let map = root;
  for (const key of path.slice(0, -1)) {
    const below = map.get(key);
    const next: ConfigMap = isMapNode(below) ? below.value : new Map();
    // A mapping created on the path has the location of the value.
    if (!isMapNode(below)) map.set(key, { ...node, value: next });
    map = next;
  }
  map.set(path.at(-1) ?? '', node);
}

/** Returns the location of a path in a tree, or of its nearest ancestor if the path does not exist. */
export function placeAt(root: ConfigNode, path: Path, part: 'key' | 'value' = 'value'): Place {
  let node = root;
  for (const [index, step] of path.entries()) {
    const below = stepInto(node, step);
    // Items of a list given as one text have the location of the text.
    if (below === undefined) return placeOf(node, typeof step === 'number' && index > 0 ? 'value' : 'key');
    node = below;
  }
  return placeOf(node, part);
}

function stepInto(node: ConfigNode, step: string | number): ConfigNode | undefined {
  if (isMapNode(node)) return node.value.get(String(step));
  return isListNode(node) && typeof step === 'number' ? node.value[step] : undefined;
}

function placeOf({ origin, keyOffset, offset }: ConfigNode, part: 'key' | 'value' = 'value'): Place {
  return origin(part === 'key' ? keyOffset : offset);
}
