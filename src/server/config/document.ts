import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  visit,
} from 'yaml';
import type { Problems } from './problems.ts';
import type { Path } from './raw.ts';
import { type ConfigMap, type ConfigNode, maxDepth, type Place } from './tree.ts';

/** 1 MiB. */
const maxTextLength = 1 << 20;
/** A valid config of that length has fewer tokens. Parsing more would take seconds. */
const maxTokens = 500_000;
/** Depth in the parser, which needs about three for each level of a config. */
const maxParserDepth = 100;
/** Aliases can make a small file huge ("billion laughs"). A config has far fewer values than this. */
const maxValues = 200_000;
/** Errors of syntax kept for their message; more than are ever reported. */
const maxErrors = 1000;

/** Reads YAML 1.2. Errors go to `problems`. Returns undefined if the text does not yield a config. */
export function readDocument(name: string, text: string, problems: Problems): ConfigNode | undefined {
  return new DocumentReader(name, problems).read(text);
}

class DocumentReader {
  readonly #name: string;
  readonly #problems: Problems;
  readonly #lines = new LineCounter();
  #values = 0;
  readonly #origin = (offset: number): Place => {
    const { line, col } = this.#lines.linePos(offset);
    return { where: `${this.#name}:${Math.max(line, 1)}:${Math.max(col, 1)}`, rank: offset, names: undefined };
  };

  constructor(name: string, problems: Problems) {
    this.#name = name;
    this.#problems = problems;
  }

  read(text: string): ConfigNode | undefined {
    if (text.length > maxTextLength) {
      this.#problem(0, 'is larger than 1 MiB, the limit for a config');
      return undefined;
    }
    const { document, isWhole } = this.#parse(text);
    if (document === undefined || !isWhole) return undefined;
    const targets = text.includes('*') ? targetsOf(document) : new Map<unknown, Node>();
    const root = this.#convert(document.contents, [], 0, (alias) => targets.get(alias));
    if (root.value instanceof Map) return { ...root, keyOffset: 0, offset: 0 };
    if (root.value === null) return { ...root, value: new Map(), keyOffset: 0, offset: 0 };
    this.#problem(offsetOf(document.contents), 'is not a config: expected keys such as services:');
    return undefined;
  }

  /** A bounded version of the library's `parseDocument`. */
  #parse(text: string): { readonly document: Document | undefined; readonly isWhole: boolean } {
    const parser = new Parser(this.#lines.addNewLine);
    const tokens: CST.Token[] = [];
    let count = 0;
    let isWhole = true;
    this.#lines.addNewLine(0);
    for (const lexeme of new Lexer().lex(text)) {
      for (const token of parser.next(lexeme)) {
        if (token.type !== 'error') tokens.push(token);
        else {
          isWhole = false;
          this.#problem(token.offset, () => lowerFirst(token.message));
        }
      }
      count += 1;
      const excess = count > maxTokens ? 'has too many values for a config' : 'is nested too deeply';
      if (count <= maxTokens && parser.stack.length <= maxParserDepth) continue;
      this.#problem(parser.offset, excess);
      isWhole = false;
      break;
    }
    tokens.push(...parser.end());
    const composer = new Composer({
      version: '1.2',
      schema: 'core',
      merge: false,
      // Duplicate keys are found below, where the path is known.
      uniqueKeys: false,
      prettyErrors: false,
    });
    // Half a million errors with their stack traces would take seconds, so most are only counted.
    const onError = composer['onError'];
    let errors = 0;
    composer['onError'] = (...error: Parameters<typeof onError>) => {
      errors += 1;
      if (errors > maxErrors) this.#problems.addUnnamed();
      else onError(...error);
    };
    const [document, second] = composer.compose(tokens, true, text.length);
    for (const { message, pos } of [...(document?.errors ?? []), ...(document?.warnings ?? [])])
      this.#problem(pos[0], () => lowerFirst(message));
    if (second !== undefined) this.#problem(second.range[0], 'second document: expected only one');
    const { explicit, version } = document?.directives?.yaml ?? {};
    if (explicit === true && version !== '1.2') this.#problem(0, 'is not YAML 1.2: remove the %YAML line');
    return { document, isWhole: isWhole && second === undefined && document?.errors.length === 0 };
  }

  #convert(
    node: unknown,
    path: Path,
    keyOffset: number,
    resolve: (alias: unknown) => Node | undefined,
    offset = offsetOf(node),
  ): ConfigNode {
    return { value: this.#content(node, path, resolve), origin: this.#origin, keyOffset, offset };
  }

  #content(node: unknown, path: Path, resolve: (alias: unknown) => Node | undefined): ConfigNode['value'] {
    this.#values += 1;
    if (this.#values === maxValues) this.#problem(offsetOf(node), 'has too many values for a config');
    if (path.length > maxDepth) this.#problem(offsetOf(node), 'is nested too deeply', path);
    if (this.#values >= maxValues || path.length > maxDepth) return null;
    if (isAlias(node)) {
      const target = resolve(node);
      if (target === undefined) this.#problem(offsetOf(node), `unknown anchor *${node.source}`, path);
      return target === undefined ? null : this.#content(target, path, resolve);
    }
    if (isMap(node)) return this.#map(node.items, path, resolve);
    if (isSeq(node))
      return node.items.map((item, index) => this.#convert(item, [...path, index], offsetOf(item), resolve));
    return isScalar(node) ? this.#scalar(node.value, node, path) : null;
  }

  #map(items: readonly unknown[], path: Path, resolve: (alias: unknown) => Node | undefined): ConfigMap {
    const map: ConfigMap = new Map();
    for (const pair of items) {
      if (!isPair(pair)) continue;
      const keyOffset = offsetOf(pair.key);
      if (!isScalar(pair.key)) {
        this.#problem(keyOffset, 'a key must be a scalar', path);
        continue;
      }
      const key = String(pair.key.value);
      const here = [...path, key];
      if (key === '<<') {
        this.#problem(keyOffset, 'merge keys (<<) are not part of YAML 1.2: repeat the keys, or use "defaults"', path);
        continue;
      }
      if (map.has(key)) this.#problem(keyOffset, 'duplicate key', here);
      const isEmpty = pair.value === null || (isScalar(pair.value) && pair.value.value === null && !pair.value.source);
      const offset = isEmpty ? keyOffset : offsetOf(pair.value);
      map.set(key, this.#convert(pair.value, here, keyOffset, resolve, offset));
    }
    return map;
  }

  #scalar(value: unknown, node: unknown, path: Path): string | number | boolean | null {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return value;
    this.#problem(
      offsetOf(node),
      'is not a value that a config can hold: expected text, a number, true, false, null, a list or a plain object',
      path,
    );
    return null;
  }

  #problem(offset: number, message: string | (() => string), path: Path = []): void {
    this.#problems.add(this.#origin(offset), path, message);
  }
}

/**
 * Maps each alias to the last node before it with that anchor. One pass: the library searches from the start for each.
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

function offsetOf(node: unknown): number {
  const hasRange = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node);
  return hasRange ? (node.range?.[0] ?? 0) : 0;
}

function lowerFirst(message: string): string {
  // The library quotes the file unescaped.
  const text = message
    .replace(/[^ -~]+/g, ' ')
    .replace(/\.$/, '')
    .slice(0, 200);
  return text.charAt(0).toLowerCase() + text.slice(1);
}
