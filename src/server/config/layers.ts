import { suggest } from '../../suggestion.ts';
import { readDocument } from './document.ts';
import { readEnvironment } from './environment.ts';
import type { Problems } from './problems.ts';
import type { Path } from './raw.ts';
import type { ConfigSource } from './source.ts';
import { type ConfigMap, type ConfigNode, isMapNode, type Origin, type Place, setNode, treeOfObject } from './tree.ts';

/** Ranks of places: file offsets come before the environment, which comes before the command line. */
const environmentRank = 2 ** 32;
const commandLineRank = 2 ** 33;

/** Reads the file and applies the environment, then `--set`. Returns undefined if the file yields no config. */
export function readLayers(source: ConfigSource, problems: Problems): ConfigNode | undefined {
  const root =
    source.text === undefined ? rootOfObject(source, problems) : readDocument(source.name, source.text, problems);
  if (!isMapNode(root)) return undefined;
  const sets = readSets(source.sets, problems);
  const { values, unknown } = readEnvironment(source.env, [
    ...servicesOf(root.value),
    ...sets.flatMap(({ path }) => (path[0] === 'services' && path[1] !== undefined ? [path[1]] : [])),
  ]);
  for (const [index, { variable, message }] of unknown.entries())
    problems.add({ where: variable, rank: environmentRank + index, names: undefined }, [], message);
  const laid = values.map(({ variable, path, text }, index) => ({
    path,
    text,
    place: { where: variable, rank: environmentRank + index, names: path },
  }));
  for (const layer of [...laid, ...sets]) lay(layer, root.value, problems);
  return root;
}

/** A key that overrides the file. */
interface Layer {
  readonly path: readonly string[];
  readonly text: string;
  readonly place: Place;
}

function lay({ path, text, place }: Layer, root: ConfigMap, problems: Problems): void {
  const [section, name = '', ...rest] = path;
  if (section === 'services' && rest.length === 0 && name !== '' && text === 'null') {
    const services = root.get('services');
    if (isMapNode(services) && services.value.delete(name)) return;
    const guess = suggest(name, servicesOf(root));
    problems.add(place, path, `there is no service with this name to remove${guess}`);
    return;
  }
  const origin: Origin = () => place;
  setNode(root, path, { value: text === 'null' ? null : text, origin, keyOffset: 0, offset: 0 });
}

function rootOfObject(source: ConfigSource, problems: Problems): ConfigNode | undefined {
  const place: Place = { where: source.name, rank: 0, names: undefined };
  const root = treeOfObject(
    source.tree ?? {},
    () => place,
    (path: Path, message) => problems.add(place, path, message),
  );
  if (!isMapNode(root)) problems.add(place, [], 'is not a config: expected an object');
  return root;
}

function readSets(sets: readonly string[], problems: Problems): readonly Layer[] {
  return sets.flatMap((option, index) => {
    const equals = option.indexOf('=');
    const key = equals < 0 ? option : option.slice(0, equals);
    const path: readonly string[] = key.split('.');
    const place = { where: `--set ${printable(key)}`, rank: commandLineRank + index, names: path };
    if (equals >= 0 && path.every((step) => /^[\w-]+$/.test(step)))
      return [{ path, text: option.slice(equals + 1), place }];
    problems.add(place, path, 'expected key=value, such as services.echo.idleTimeout=10s');
    return [];
  });
}

function printable(text: string): string {
  return text.slice(0, 80).replace(/[^ -~]/g, '?');
}

function servicesOf(root: ConfigMap): readonly string[] {
  const services = root.get('services');
  return isMapNode(services) ? [...services.value.keys()] : [];
}
