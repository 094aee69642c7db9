import { type ConfigDocument, readDocument } from './document.ts';
import { readEnvironment } from './environment.ts';
import type { Place, Problems } from './problems.ts';
import { formatPath, isRawMap, type Path, type Raw, rawFromObject, type RawMap } from './raw.ts';
import type { ConfigSource } from './source.ts';

/** The file, the environment and the command line as one tree, which knows where each of its values comes from. */
export interface Layers {
  readonly root: RawMap;
  /** The nearest place of a path: of itself, of something in it, of what it is in. */
  place(path: Path, part?: 'key' | 'value'): Place;
}

/** Ranks of places: every offset in a file comes before the environment, which comes before the command line. */
const environmentRank = 2 ** 32;
const commandLineRank = 2 ** 33;

type MutableMap = Map<string, Raw>;

/** Lays the environment over the file and `--set` over both. Undefined where the file's syntax is wrong. */
export function readLayers(source: ConfigSource, problems: Problems): Layers | undefined {
  const document =
    source.text === undefined ? documentOfTree(source, problems) : readDocument(source.name, source.text, problems);
  if (document.root === undefined) return undefined;
  const root = copyMap(document.root);
  const origins = new Map<string, { readonly path: Path; readonly place: Place }>();

  function lay(path: readonly string[], text: string, origin: Place): void {
    const replaced = setRaw(root, path, text === 'null' ? null : text);
    if (replaced !== undefined) origins.set(JSON.stringify(replaced), { path: replaced, place: origin });
    origins.set(JSON.stringify(path), { path, place: origin });
  }

  const sets = readSets(source.sets, problems);
  const environment = readEnvironment(source.env, [
    ...instancesOf(root),
    ...sets.flatMap(({ path }) => instanceOf(path)),
  ]);
  for (const [index, { variable, message }] of environment.strange.entries()) {
    problems.add({ where: variable, rank: environmentRank + index }, '', message);
  }
  for (const [index, { variable, path, text }] of environment.values.entries()) {
    lay(path, text, { where: variable, rank: environmentRank + index });
  }
  for (const set of sets) lay(set.path, set.text, set.place);

  function placeOf(path: Path, part: 'key' | 'value' = 'value'): Place {
    const own = originAbove(origins, path) ?? document.locate(path, part) ?? originBelow(origins, path);
    if (own !== undefined) return own;
    // The items of a list that is given as one text stand where the text does.
    const isItem = typeof path.at(-1) === 'number';
    return path.length === 0 ? { where: source.name, rank: 0 } : placeOf(path.slice(0, -1), isItem ? 'value' : 'key');
  }

  return { root, place: placeOf };
}

function documentOfTree(source: ConfigSource, problems: Problems): ConfigDocument {
  const root = rawFromObject(source.tree ?? {}, (path, message) => {
    problems.add({ where: source.name, rank: 0 }, formatPath(path), message);
  });
  if (!isRawMap(root)) problems.add({ where: source.name, rank: 0 }, '', 'is not a config: expected an object');
  return { root: isRawMap(root) ? root : undefined, locate: () => undefined };
}

interface SetOption {
  readonly path: readonly string[];
  readonly text: string;
  readonly place: Place;
}

function readSets(sets: readonly string[], problems: Problems): readonly SetOption[] {
  return sets.flatMap((option, index) => {
    const equals = option.indexOf('=');
    const key = equals < 0 ? option : option.slice(0, equals);
    const place = { where: `--set ${printable(key)}`, rank: commandLineRank + index };
    const path = key.split('.');
    if (equals >= 0 && path.every((step) => /^[\w-]+$/.test(step)))
      return [{ path, text: option.slice(equals + 1), place }];
    problems.add(place, '', 'is not key=value, such as services.echo.idleTimeout=10s');
    return [];
  });
}

function printable(text: string): string {
  return text.slice(0, 80).replace(/[^ -~]/g, '?');
}

function* instancesOf(root: RawMap): Generator<string> {
  const services = root.get('services');
  if (isRawMap(services)) yield* services.keys();
}

function instanceOf(path: readonly string[]): readonly string[] {
  return path[0] === 'services' && path[1] !== undefined ? [path[1]] : [];
}

function originAbove(origins: ReadonlyMap<string, { readonly place: Place }>, path: Path): Place | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const origin = origins.get(JSON.stringify(path.slice(0, length)));
    if (origin !== undefined) return origin.place;
  }
  return undefined;
}

function originBelow(
  origins: ReadonlyMap<string, { readonly path: Path; readonly place: Place }>,
  path: Path,
): Place | undefined {
  if (path.length === 0) return undefined;
  return [...origins.values()].find((origin) => path.every((step, index) => origin.path[index] === step))?.place;
}

function copyMap(map: RawMap): MutableMap {
  return new Map([...map].map(([key, value]) => [key, isRawMap(value) ? copyMap(value) : value]));
}

/**
 * What is no mapping on the way gives way to one. Returns the path of the value that was there and is overridden so.
 */
function setRaw(root: MutableMap, path: readonly string[], value: Raw): Path | undefined {
  let map = root;
  let replaced: Path | undefined;
  for (const [index, key] of path.slice(0, -1).entries()) {
    const below = map.get(key);
    if (below !== undefined && !isRawMap(below)) replaced = path.slice(0, index + 1);
    const next: MutableMap = below instanceof Map ? below : new Map();
    map.set(key, next);
    map = next;
  }
  map.set(path.at(-1) ?? '', value);
  return replaced;
}
