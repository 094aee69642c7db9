import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Document,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import type { Place, Problems } from './problems.ts';
import { formatPath, maxDepth, type Path, type Raw, type RawMap } from './raw.ts';

/** A config file, read: its values, and where each key and value stands. */
export interface ConfigDocument {
  /** Undefined where the syntax is wrong. */
  readonly root: RawMap | undefined;
  /** `file:line:column` of a value or its key; undefined where the file has none. */
  locate(path: Path, part?: 'key' | 'value'): Place | undefined;
}

/** Aliases can make a small file huge ("billion laughs"): a config has far fewer values than this. */
const maxValues = 20_000;
const maxTextLength = 1 << 20;

/**
 * Reads YAML 1.2. All errors of syntax go to `problems` as `name:line:column`; nothing is thrown.
 */
export function readDocument(name: string, text: string, problems: Problems): ConfigDocument {
  const reader = new DocumentReader(name, problems);
  const root = reader.read(text);
  return { root, locate: (path, part = 'value') => reader.locate(path, part) };
}

class DocumentReader {
  readonly #name: string;
  readonly #problems: Problems;
  readonly #lines = new LineCounter();
  readonly #offsets = new Map<string, { readonly key: number; readonly value: number }>();
  #values = 0;

  constructor(name: string, problems: Problems) {
    this.#name = name;
    this.#problems = problems;
  }

  read(text: string): RawMap | undefined {
    if (text.length > maxTextLength) {
      this.#problem(0, 'is larger than a config can be (1 MiB)');
      return undefined;
    }
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      // Found below, where the key's path is known.
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: this.#lines,
    });
    for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
      this.#problem(pos[0], friendly[code] ?? lowerFirst(message));
    }
    const { explicit, version } = document.directives?.yaml ?? {};
    if (explicit === true && version !== '1.2') this.#problem(0, 'is not YAML 1.2: leave out the %YAML line');
    if (document.errors.length > 0) return undefined;
    const targets = targetsOf(document);
    const root = this.#convert(document.contents, [], (alias) => targets.get(alias));
    if (root instanceof Map) return root;
    if (root === null) return new Map();
    this.#problem(offsetOf(document.contents), 'is not a config: expected keys such as services:');
    return undefined;
  }

  locate(path: Path, part: 'key' | 'value'): Place | undefined {
    const offset = this.#offsets.get(JSON.stringify(path))?.[part];
    return offset === undefined ? undefined : this.#place(offset);
  }

  #convert(node: unknown, path: Path, resolve: (alias: unknown) => Node | undefined): Raw {
    this.#values += 1;
    if (this.#values === maxValues) this.#problem(offsetOf(node), 'holds more values than a config can');
    if (path.length > maxDepth) this.#problem(offsetOf(node), 'is nested too deeply', path);
    if (this.#values >= maxValues || path.length > maxDepth) return null;
    if (isAlias(node)) {
      const target = resolve(node);
      if (target === undefined) this.#problem(offsetOf(node), `the anchor of *${node.source} is unknown`, path);
      return target === undefined ? null : this.#convert(target, path, resolve);
    }
    if (isMap(node)) return this.#convertMap(node.items, path, resolve);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        this.#note([...path, index], offsetOf(item), offsetOf(item));
        return this.#convert(item, [...path, index], resolve);
      });
    }
    return isScalar(node) ? this.#scalar(node.value, node, path) : null;
  }

  #convertMap(items: readonly unknown[], path: Path, resolve: (alias: unknown) => Node | undefined): RawMap {
    const map = new Map<string, Raw>();
    for (const pair of items) {
      if (!isPair(pair)) continue;
      if (!isScalar(pair.key)) {
        this.#problem(offsetOf(pair.key), 'a key must be a word', path);
        continue;
      }
      const key = String(pair.key.value);
      const keyOffset = offsetOf(pair.key);
      const empty = pair.value === null || (isScalar(pair.value) && pair.value.value === null && !pair.value.source);
      this.#note([...path, key], keyOffset, empty ? keyOffset : offsetOf(pair.value));
      if (map.has(key)) this.#problem(keyOffset, 'the key is there twice', [...path, key]);
      map.set(key, this.#convert(pair.value, [...path, key], resolve));
    }
    return map;
  }

  #scalar(value: unknown, node: unknown, path: Path): Raw {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return value;
    this.#problem(offsetOf(node), `is a ${typeof value}, which a config cannot hold`, path);
    return null;
  }

  #note(path: Path, key: number, value: number): void {
    this.#offsets.set(JSON.stringify(path), { key, value });
  }

  #problem(offset: number, message: string, path: Path = []): void {
    this.#problems.add(this.#place(offset), formatPath(path), message);
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { where: `${this.#name}:${Math.max(line, 1)}:${Math.max(col, 1)}`, rank: offset };
  }
}

/**
 * What each alias stands for: the last node before it with that anchor. In one pass: the library looks for each from
 * the start.
 */
function targetsOf(document: Document): ReadonlyMap<unknown, Node> {
  const anchored = new Map<string, Node>();
  const targets = new Map<unknown, Node>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const target = anchored.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) anchored.set(node.anchor, node);
    },
  });
  return targets;
}

/** The library's words for some errors are about its own interface. */
const friendly: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'a second document begins: expected one',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
};

function offsetOf(node: unknown): number {
  const hasRange = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node);
  return hasRange ? (node.range?.[0] ?? 0) : 0;
}

function lowerFirst(message: string): string {
  // The library quotes the file as it is.
  const text = message
    .replace(/[^ -~]+/g, ' ')
    .replace(/\.$/, '')
    .slice(0, 200);
  return text.charAt(0).toLowerCase() + text.slice(1);
}
