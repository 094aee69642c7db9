import { suggest } from '../../suggestion.ts';
import { type Defaults, defaultsOf } from './convict.ts';
import type { Report } from './problems.ts';
import { type Path, type Raw, show } from './raw.ts';
import { formatOf, isKey, type Key, type Section, type Values } from './section.ts';
import { type ConfigNode, isMapNode, rawOf } from './tree.ts';

/** The complete result of reading a section. */
export interface Reading<Keys extends Section = Section> {
  readonly values: Values<Keys>;
  /** The same values as plain JSON, in the canonical form of a config. */
  readonly printed: Printed;
  /** Keys of the section itself that are set but invalid, or contain something invalid. */
  readonly wrong: ReadonlySet<string>;
}

export type Printed = { readonly [key: string]: unknown };

export interface ReadOptions<Keys extends Section> {
  /** Values for keys that are not set; the section's defaults if omitted. */
  readonly fallback?: Pick<Reading<Keys>, 'values' | 'printed'>;
  /** Keys that are read elsewhere. */
  readonly elsewhere?: readonly string[];
  /** True if unknown keys may be valid, because the set of keys is not known. */
  readonly acceptsUnknown?: boolean;
  /** For a key not in the section, returns what to say instead of a guess. */
  readonly hint?: (key: string) => string | undefined;
}

/** What sections are read with. */
export interface ReadContext {
  /** Relative files are resolved against this. */
  readonly directory: string;
  readonly report: Report;
}

/** Reads a section in one pass. Problems are reported. An invalid value is treated as if it were not set. */
export function readSection<Keys extends Section>(
  section: Keys,
  node: ConfigNode | undefined,
  path: Path,
  context: ReadContext,
  options: ReadOptions<Keys> = {},
): Reading<Keys> {
  const fallback = options.fallback ?? readDefaults(section);
  if (node === undefined) return { ...fallback, wrong: new Set() };
  const pass = new SectionPass(section, path, context, fallback);
  if (isMapNode(node)) for (const [name, each] of node.value) pass.read(name, each, options);
  else pass.refuse(node, options);
  return pass as Reading as Reading<Keys>;
}

class SectionPass implements Reading {
  readonly values: Record<string, never>;
  readonly printed: Record<string, unknown>;
  readonly wrong = new Set<string>();
  readonly #section: Section;
  readonly #path: Path;
  readonly #context: ReadContext;

  constructor(section: Section, path: Path, context: ReadContext, fallback: Pick<Reading, 'values' | 'printed'>) {
    this.#section = section;
    this.#path = path;
    this.#context = context;
    this.values = { ...fallback.values };
    this.printed = { ...fallback.printed };
  }

  read(name: string, node: ConfigNode, options: ReadOptions<Section>): void {
    if (options.elsewhere?.includes(name)) return;
    const declared = Object.hasOwn(this.#section, name) ? this.#section[name] : undefined;
    if (declared === undefined) this.#readUnknown(name, options);
    else if (isKey(declared)) this.#readKey(name, declared, node);
    else {
      const fallback = { values: this.values[name] ?? {}, printed: this.printed[name] as Printed };
      const below = readSection(declared, node, [...this.#path, name], this.#context, { fallback });
      this.values[name] = below.values as never;
      this.printed[name] = below.printed;
      if (below.wrong.size > 0) this.wrong.add(name);
    }
  }

  refuse(node: ConfigNode, options: ReadOptions<Section>): void {
    const keys = [...Object.keys(this.#section), ...(options.elsewhere ?? [])].join(', ') || '(none)';
    this.#context.report(this.#path, `${show(rawOf(node))} is not a mapping: expected the keys ${keys}`);
    for (const name of Object.keys(this.#section)) this.wrong.add(name);
  }

  #readKey(name: string, key: Key, node: ConfigNode): void {
    const format = formatOf(key);
    const path = [...this.#path, name];
    if (isMapNode(node)) {
      this.wrong.add(name);
      this.#context.report(path, `a mapping is not ${format.expected}`);
      return;
    }
    const reading = format.read(rawOf(node), this.#context.directory);
    if ('value' in reading) {
      this.values[name] = reading.value as never;
      this.printed[name] = format.print(reading.value);
      return;
    }
    this.wrong.add(name);
    for (const { item, message } of reading.flaws)
      this.#context.report(item === undefined ? path : [...path, item], message);
  }

  #readUnknown(name: string, { acceptsUnknown, elsewhere = [], hint }: ReadOptions<Section>): void {
    if (acceptsUnknown) return;
    const message = (): string => {
      const known = [...Object.keys(this.#section), ...elsewhere];
      const guess = hint?.(name) ?? suggest(name, known);
      return `unknown key${guess === '' ? `: expected one of ${known.join(', ') || '(none)'}` : guess}`;
    };
    this.#context.report([...this.#path, name], message, { part: 'key' });
  }
}

const known = new WeakMap<Section, Pick<Reading, 'values' | 'printed'>>();

/** Returns the values of an empty section. Throws what `defaultsOf` throws. */
export function readDefaults<Keys extends Section>(section: Keys): Pick<Reading<Keys>, 'values' | 'printed'> {
  const made = known.get(section) ?? completed(section, defaultsOf(section));
  known.set(section, made);
  return made as Pick<Reading<Keys>, 'values' | 'printed'>;
}

function completed(section: Section, defaults: Defaults): Pick<Reading, 'values' | 'printed'> {
  const values: Record<string, unknown> = {};
  const printed: Record<string, unknown> = {};
  for (const [name, node] of Object.entries(section)) {
    if (isKey(node)) {
      const format = formatOf(node);
      const reading = format.read(defaults[name] as Raw, '/');
      // Convict has already asked the same format.
      if ('flaws' in reading) throw new TypeError(`${name}: ${reading.flaws[0]?.message ?? format.expected}`);
      values[name] = reading.value;
      printed[name] = format.print(reading.value);
    } else {
      const below = completed(node, defaults[name] as Defaults);
      values[name] = below.values;
      printed[name] = below.printed;
    }
  }
  return { values: values as Reading['values'], printed };
}
