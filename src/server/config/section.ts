import { type Format, orNull, words } from './format.ts';
import { formats } from './formats.ts';
import type { Raw } from './raw.ts';

type FormatName = keyof typeof formats;

/**
 * The declaration of one key, in the terms of convict's schemas: its format, its default as written in a config, and
 * its documentation. A list as format means one of these words. A null default makes the key nullable. The environment
 * variable is derived from the path.
 */
export interface Key {
  readonly format: FormatName | readonly string[];
  readonly default: Raw;
  readonly doc: string;
}

/** Keys, and sections of keys below them. */
export type Section = { readonly [key: string]: Key | Section };

type ValueOf<Name> = Name extends readonly (infer Word)[]
  ? Word
  : Name extends FormatName
    ? (typeof formats)[Name] extends Format<infer Value>
      ? Value
      : never
    : never;

/** The values of a section's keys. */
export type Values<Keys extends Section> = {
  readonly [Name in keyof Keys]: Keys[Name] extends Key
    ? ValueOf<Keys[Name]['format']> | (Keys[Name]['default'] extends null ? null : never)
    : Keys[Name] extends Section
      ? Values<Keys[Name]>
      : never;
};

export function isKey(node: Key | Section | undefined): node is Key {
  // A section may have a key `doc`, but that holds a key or a section, not text.
  return typeof node?.['doc'] === 'string';
}

const ofKeys = new WeakMap<Key, Format<unknown>>();

export function formatOf(key: Key): Format<unknown> {
  const known = ofKeys.get(key);
  if (known !== undefined) return known;
  const plain: Format<unknown> = typeof key.format === 'string' ? formats[key.format] : words(key.format);
  const format = key.default === null ? orNull(plain) : plain;
  ofKeys.set(key, format);
  return format;
}

/** Every key with its path, in the order of the schema. */
export function* keysOf(
  section: Section,
  path: readonly string[] = [],
): Generator<{ path: readonly string[]; key: Key }> {
  for (const [name, node] of Object.entries(section)) {
    if (isKey(node)) yield { path: [...path, name], key: node };
    else yield* keysOf(node, [...path, name]);
  }
}
