/** A value as a config holds it, before a format has read it. Maps, not objects: no key is special in them. */
export type Raw = string | number | boolean | null | readonly Raw[] | RawMap;
export type RawMap = ReadonlyMap<string, Raw>;

/** The way to a value from the document's root: keys and list positions. */
export type Path = readonly (string | number)[];

export function isRawMap(raw: Raw | undefined): raw is RawMap {
  return raw instanceof Map;
}

export function isRawList(raw: Raw | undefined): raw is readonly Raw[] {
  return Array.isArray(raw);
}

/** What is deeper than any config is: refused, so that nothing recursive can be made to overflow the stack. */
export const maxDepth = 20;

/**
 * A plain object as raw values. `refuse` is told of each value that no config can hold (a function, a cycle); it is
 * left out, as an undefined one is.
 */
export function rawFromObject(value: unknown, refuse: (path: Path, message: string) => void, path: Path = []): Raw {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (path.length > maxDepth) {
    refuse(path, 'is nested too deeply');
    return null;
  }
  if (Array.isArray(value)) return value.map((item: unknown, index) => rawFromObject(item, refuse, [...path, index]));
  if (isPlainObject(value)) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return new Map(entries.map(([key, each]) => [key, rawFromObject(each, refuse, [...path, key])]));
  }
  refuse(path, `is a ${typeof value}, which a config cannot hold`);
  return null;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Raw values as plain JavaScript, for those who take objects. */
export function plainFromRaw(raw: Raw): unknown {
  if (isRawList(raw)) return raw.map(plainFromRaw);
  if (!isRawMap(raw)) return raw;
  return Object.fromEntries([...raw].map(([key, value]) => [key, plainFromRaw(value)]));
}

/** `services.echo.listen[0]`; a key that is no word stands in quotes. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${show(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** A raw value for a message: one line, short, without control characters. */
export function show(raw: Raw): string {
  if (raw === null) return 'null';
  if (isRawList(raw)) return 'a list';
  if (isRawMap(raw)) return 'a mapping';
  if (typeof raw !== 'string') return String(raw);
  const short = raw.length > 60 ? `${raw.slice(0, 57)}...` : raw;
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
