/** A config before anything has read it: a tree that knows where each of its values stands. */
import type { Path, Raw } from './raw.ts';

/** Where a value stands, and its rank in the order in which problems are reported. */
export interface Place {
  /** `file:line:column`, the name of a variable, or an option of the command line. */
  readonly where: string;
  readonly rank: number;
  /** The key that `where` itself names; undefined for a place in a file. */
  readonly names: Path | undefined;
}

/** What values come from: a file, a variable, an option. `offset`: how far in. */
export type Origin = (offset: number) => Place;

type Scalar = string | number | boolean | null;

/** One value with its place. Maps, not objects: no key is special in them. */
export interface ConfigNode {
  readonly value: Scalar | readonly ConfigNode[] | ConfigMap;
  readonly origin: Origin;
  /** Of its key, or of itself where it has none. */
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

export function isListNode(node: ConfigNode | undefined): node is ListNode {
  return Array.isArray(node?.value);
}

/** Without the places. */
export function rawOf(node: ConfigNode): Raw {
  if (isMapNode(node)) return new Map([...node.value].map(([key, each]) => [key, rawOf(each)]));
  return isListNode(node) ? node.value.map(rawOf) : (node.value as Scalar);
}

/** As plain JavaScript, for those who take objects. */
export function plainOf(node: ConfigNode): unknown {
  if (isMapNode(node)) return Object.fromEntries([...node.value].map(([key, each]) => [key, plainOf(each)]));
  return isListNode(node) ? node.value.map(plainOf) : node.value;
}

/** What is deeper than any config is: refused, so that nothing recursive can be made to overflow the stack. */
export const maxDepth = 20;

/**
 * A plain object as a tree. `refuse` is told of each value that no config can hold (a function, a cycle); it is left
 * out, as an undefined one is.
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
  } else refuse(path, `is a ${typeof value}, which a config cannot hold`);
  return null;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Sets a value in a tree: what is not a mapping on the way gives way to one. */
export function setNode(root: ConfigMap, path: readonly string[], node: ConfigNode): void {
  let map = root;
  for (const key of path.slice(0, -1)) {
    const below = map.get(key);
    const next: ConfigMap = isMapNode(below) ? below.value : new Map();
    // A mapping that is made on the way stands where the value does.
    if (!isMapNode(below)) map.set(key, { ...node, value: next });
    map = next;
  }
  map.set(path.at(-1) ?? '', node);
}

/** The place of a path in a tree; of the nearest thing that it is in where it is not there itself. */
export function placeAt(root: ConfigNode, path: Path, part: 'key' | 'value' = 'value'): Place {
  let node = root;
  for (const [index, step] of path.entries()) {
    const below = stepInto(node, step);
    // The items of a list that is given as one text stand where the text does.
    if (below === undefined) return placeOf(node, typeof step === 'number' && index > 0 ? 'value' : 'key');
    node = below;
  }
  return placeOf(node, part);
}

function stepInto(node: ConfigNode, step: string | number): ConfigNode | undefined {
  if (isMapNode(node)) return node.value.get(String(step));
  return isListNode(node) && typeof step === 'number' ? node.value[step] : undefined;
}

export function placeOf({ origin, keyOffset, offset }: ConfigNode, part: 'key' | 'value' = 'value'): Place {
  return origin(part === 'key' ? keyOffset : offset);
}
