import type { AnyServiceModule } from '../../services/index.ts';
import { findService, services } from '../../services/index.ts';
import type { Layers } from './layers.ts';
import { resolveModule } from './module-path.ts';
import { importServiceModule } from './modules.ts';
import { suggest } from '../../suggestion.ts';
import type { Problems } from './problems.ts';
import { formatPath, isRawMap, type Path, type RawMap } from './raw.ts';

/** What one instance under `services` turned out to be. */
export interface Instance {
  readonly name: string;
  readonly raw: RawMap;
  readonly type: string;
  /** The `file:` URL of a third-party module; while it is not imported, what the config calls it. */
  readonly module: string | undefined;
  /** Undefined while a module is not imported, and where the kind is unknown, which has been reported. */
  readonly kind: AnyServiceModule | undefined;
  /** False where the kind is unknown because of a mistake: its options cannot be told from unknown keys. */
  readonly known: boolean;
}

/** Convict takes these names for its own. */
const reserved = new Set(['default', 'constructor']);

/** Finds the kind of every instance; what is wrong with a name, a type or a module goes to `problems`. */
export async function findInstances(
  layers: Layers,
  directory: string,
  importModules: boolean,
  problems: Problems,
): Promise<readonly Instance[]> {
  const found = layers.root.get('services');
  if (!isRawMap(found)) {
    const message = found === undefined ? 'there are no services' : 'is not a mapping of services';
    problems.add(layers.place(['services']), 'services', `${message}: expected at least one, such as echo:`);
    return [];
  }
  if (found.size === 0)
    problems.add(layers.place(['services']), 'services', 'there are no services: expected at least one, such as echo:');
  const instances: Instance[] = [];
  for (const [name, raw] of found) {
    const path = ['services', name];
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(name) || reserved.has(name)) {
      const message = reserved.has(name)
        ? 'this name is reserved'
        : 'is not a name for a service: expected a-z, then a-z, 0-9 and -';
      problems.add(layers.place(path, 'key'), formatPath(path), message);
    } else if (isRawMap(raw)) {
      instances.push(await findInstance(name, raw, { layers, directory, importModules, problems }));
    } else {
      problems.add(
        layers.place(path),
        formatPath(path),
        'is not a mapping: expected the keys of a service, such as listen:',
      );
    }
  }
  return instances;
}

interface Context {
  readonly layers: Layers;
  readonly directory: string;
  readonly importModules: boolean;
  readonly problems: Problems;
}

async function findInstance(name: string, raw: RawMap, context: Context): Promise<Instance> {
  const type = raw.get('type') ?? null;
  const specifier = raw.get('module') ?? null;
  const unknown: Instance = { name, raw, type: name, module: undefined, kind: undefined, known: false };
  if (type !== null && specifier !== null) {
    problem(context, name, 'module', 'is there beside type: expected only one of them');
    return unknown;
  }
  // Whoever does not import it must not look at its files either.
  if (typeof specifier === 'string' && !context.importModules) return { ...unknown, known: true, module: specifier };
  if (typeof specifier === 'string') return findModule(unknown, specifier, context);
  // A type or module that is no text is reported by its format.
  if (specifier !== null || (type !== null && typeof type !== 'string')) return unknown;
  const kind = findService(type ?? name);
  if (kind === undefined) reportUnknownType(name, type, context);
  return kind === undefined ? unknown : { ...unknown, type: kind.name, kind, known: true };
}

async function findModule(instance: Instance, specifier: string, context: Context): Promise<Instance> {
  try {
    const module = await resolveModule(specifier, context.directory);
    const kind = await importServiceModule(module);
    return { ...instance, module, type: kind.name, kind, known: true };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problem(context, instance.name, 'module', `${JSON.stringify(specifier)}: ${reason}`);
    return instance;
  }
}

function reportUnknownType(name: string, type: string | null, context: Context): void {
  const names = services.map((service) => service.name);
  const guess = suggest(type ?? name, names);
  const expected = `expected one of ${names.join(', ')}`;
  if (type !== null) problem(context, name, 'type', `there is no service ${JSON.stringify(type)}: ${expected}${guess}`);
  else
    problem(
      context,
      name,
      undefined,
      `there is no service of this name: ${expected}, or type or module to be set${guess}`,
    );
}

function problem({ layers, problems }: Context, name: string, key: string | undefined, message: string): void {
  const path: Path = key === undefined ? ['services', name] : ['services', name, key];
  problems.add(layers.place(path, key === undefined ? 'key' : 'value'), formatPath(path), message);
}
