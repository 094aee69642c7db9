import { suggest } from '../../suggestion.ts';
import type { Problems } from './problems.ts';
import type { Layers } from './layers.ts';
import { formatPath, isRawMap, type Path, type Raw, type RawMap, show } from './raw.ts';
import { isLeaf, keyOf, type Section } from './section.ts';

/** What to do with keys that a section does not have: report them, with a hint for some, or pass over them. */
export interface UnknownKeys {
  readonly report: boolean;
  hint?(key: string): string | undefined;
}

/**
 * The part of a config that has the shape of a section: its keys, and mappings exactly where the section has
 * sections. The rest goes to `problems`.
 */
export function fit(
  section: Section,
  raw: Raw,
  path: Path,
  layers: Layers,
  problems: Problems,
  unknown: UnknownKeys = { report: true },
): RawMap {
  const fitting = new Map<string, Raw>();
  if (!isRawMap(raw)) {
    problems.add(
      layers.place(path),
      formatPath(path),
      `${show(raw)} is not a mapping: expected the keys ${keysOf(section)}`,
    );
    return fitting;
  }
  for (const [key, value] of raw) {
    const here = [...path, key];
    const node = keyOf(section, key);
    if (node === undefined) {
      if (unknown.report) reportUnknown(section, here, layers, problems, unknown.hint?.(key));
    } else if (!isLeaf(node)) {
      fitting.set(key, fit(node, value, here, layers, problems));
    } else if (isRawMap(value)) {
      problems.add(layers.place(here), formatPath(here), `a mapping is not ${node.format.expected}`);
    } else {
      fitting.set(key, value);
    }
  }
  return fitting;
}

function reportUnknown(
  section: Section,
  path: Path,
  layers: Layers,
  problems: Problems,
  hint: string | undefined,
): void {
  const known = Object.keys(section);
  const guess = hint ?? suggest(String(path.at(-1)), known);
  const rest = guess === '' ? `: expected one of ${keysOf(section)}` : guess;
  problems.add(layers.place(path, 'key'), formatPath(path), `there is no such key${rest}`);
}

function keysOf(section: Section): string {
  return Object.keys(section).join(', ') || '(none)';
}
