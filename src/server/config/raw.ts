/** A value from a config, before a format has read it. */
export type Raw = string | number | boolean | null | readonly Raw[] | ReadonlyMap<string, Raw>;

/** The path from the document's root to a value: keys and list positions. */
export type Path = readonly (string | number)[];

export function isRawList(raw: Raw | undefined): raw is readonly Raw[] {
  return Array.isArray(raw);
}

/** Formats a path such as `services.echo.listen[0]`. A key that is not a word is quoted. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${show(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** Formats a raw value for a message: one line, short, without control characters. */
export function show(raw: Raw): string {
  if (raw === null) return 'null';
  if (isRawList(raw)) return 'a list';
  if (typeof raw === 'object') return 'a mapping';
  if (typeof raw !== 'string') return String(raw);
  const short = raw.length > 60 ? `${raw.slice(0, 57)}...` : raw;
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
