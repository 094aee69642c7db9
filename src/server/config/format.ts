import { isRawList, type Raw, show } from './raw.ts';

/** What is wrong with a value, and with which item if it is a list. */
export interface Flaw {
  readonly message: string;
  readonly item?: number;
}

type Reading<Value> = { readonly value: Value } | { readonly flaws: readonly Flaw[] };

/** A part of a JSON Schema (2020-12). */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Reads one type of value strictly, and prints it back. */
export interface Format<Value> {
  /** Ends the sentence `"80abc" is not …`. */
  readonly expected: string;
  /** A JSON Schema approximation, which may accept more. */
  readonly json: JsonSchema;
  /** Resolves relative files against `directory`. */
  read(raw: Raw, directory: string): Reading<Value>;
  /** The value as written in a config. */
  print(value: Value): Raw;
}

/** A format for a single value; `parse` returns undefined for anything it rejects. */
export function scalar<Value>(
  expected: string,
  json: JsonSchema,
  parse: (raw: string | number | boolean, directory: string) => Value | undefined,
  print: (value: Value) => Raw,
): Format<Value> {
  return {
    expected,
    json,
    read(raw, directory) {
      const isScalar = typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean';
      const value = isScalar ? parse(raw, directory) : undefined;
      return value === undefined ? { flaws: [{ message: `${show(raw)} is not ${expected}` }] } : { value };
    },
    print,
  };
}

/** A format for a fixed list of words. */
export function words<const Word extends string>(allowed: readonly Word[]): Format<Word> {
  const expected = allowed.length === 1 ? String(allowed[0]) : `one of ${allowed.join(', ')}`;
  return scalar(
    expected,
    { enum: allowed },
    (raw) => allowed.find((word) => word === raw),
    (word) => word,
  );
}

/** The same format, but accepts null. */
export function orNull<Value>(format: Format<Value>): Format<Value | null> {
  const expected = `${format.expected}, or null`;
  return {
    expected,
    json: { anyOf: [format.json, { type: 'null' }] },
    read(raw, directory) {
      if (raw === null) return { value: null };
      const reading = format.read(raw, directory);
      if ('value' in reading || isRawList(raw)) return reading;
      // A format's specific messages are kept.
      const usual = `${show(raw)} is not ${format.expected}`;
      return {
        flaws: reading.flaws.map((flaw) =>
          flaw.message === usual ? { message: `${show(raw)} is not ${expected}` } : flaw,
        ),
      };
    },
    print: (value) => (value === null ? null : format.print(value)),
  };
}
