import type { ListenAddress } from '../../address/listen-address.ts';
import { ConfigInvalidError } from '../../errors.ts';
import type { Host } from '../../service.ts';
import type { Config, ServiceConfig } from './config.ts';
import { complete } from './convict.ts';
import { tryServices } from './create-services.ts';
import { findInstances, type Instance } from './instances.ts';
import { type Layers, readLayers } from './layers.ts';
import type { LoadedConfig } from './loaded-config.ts';
import { type AccountLookup, checkListeners, type Listening } from './listeners.ts';
import { type Place, Problems } from './problems.ts';
import { formatPath, isRawMap, type Path, plainFromRaw, type Raw, type RawMap } from './raw.ts';
import { resolveDaemon, resolveService } from './resolved.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from './schema.ts';
import { isLeaf, keyOf, rawAt, readSection, type Section, withDefaults } from './section.ts';
import type { ConfigSource } from './source.ts';
import { fit, type UnknownKeys } from './structure.ts';

export { type ConfigSource, readConfigSource } from './source.ts';

export interface LoadOptions {
  /**
   * Third-party modules are looked for and imported only where asked for: a supervisor, which may be root, must not run
   * their code.
   */
  readonly importModules: boolean;
  /**
   * Called before anything that the config names is opened or imported, with its user and group; null for those that
   * are wrong.
   */
  readonly beforeFiles?: (account: Pick<Config, 'user' | 'group'>) => Promise<void>;
  /**
   * With it every service whose values are right is created once, to find what is wrong with the files it reads, and
   * closed again: so all that is wrong is reported together.
   */
  readonly trialHost?: (service: ServiceConfig) => Host;
  /** With it owners and groups of UNIX sockets are looked up. */
  readonly accounts?: AccountLookup;
}

/**
 * Checks a config and completes it: defaults, then the file, the environment and `--set`, each over the ones before.
 * Throws `ConfigInvalidError` with all that is wrong.
 */
export async function loadConfig(
  source: ConfigSource,
  { importModules, beforeFiles, trialHost, accounts }: LoadOptions,
): Promise<LoadedConfig> {
  const problems = new Problems();
  const layers = readLayers(source, problems);
  if (layers === undefined) throw new ConfigInvalidError(problems.sorted());

  const daemon = checkDaemon(layers, source.directory, problems);
  await beforeFiles?.(daemon.account);
  const instances = await findInstances(layers, source.directory, importModules, problems);
  const services = checkServices(instances, daemon, layers, source.directory, problems);
  await checkListeners(services.flatMap(listeningOf), daemon.adminListen, accounts, layers, problems);

  const modules = new Map(instances.flatMap(({ name, kind }) => (kind === undefined ? [] : [[name, kind] as const])));
  const place = (path: Path): Place => layers.place(path);
  if (trialHost !== undefined) {
    const right = services.filter(({ wrong }) => wrong.size === 0);
    const resolved = right.map((service) => resolveChecked(service, source.directory));
    await tryServices(resolved, modules, trialHost, place, problems);
  }

  const found = problems.sorted();
  if (found.length > 0) throw new ConfigInvalidError(found);
  const resolved = services.map((service) => resolveChecked(service, source.directory));
  return {
    config: resolveDaemon(daemon.values, source.directory, resolved),
    modules,
    place,
  };
}

interface CheckedDaemon {
  readonly values: RawMap;
  /** What `defaults` sets, without what is wrong in it. */
  readonly defaults: RawMap;
  /** Null where it is wrong, too. */
  readonly adminListen: ListenAddress | null;
  readonly account: Pick<Config, 'user' | 'group'>;
}

function checkDaemon(layers: Layers, directory: string, problems: Problems): CheckedDaemon {
  const schema: Section = { ...daemonSchema, defaults: commonSchema };
  // The services are checked by schemas of their own; here the key is only known, for the sake of suggestions.
  const root = new Map(layers.root);
  root.delete('services');
  const given = fit({ ...schema, services: {} }, root, [], layers, problems);
  const { values, wrong } = complete(schema, given);
  for (const path of wrong) reportFlaws(schema, values, path, { layers, directory, problems });
  const defaults = given.get('defaults');
  const isWrong = (key: string): boolean => wrong.some((path) => formatPath(path) === key);
  return {
    values,
    defaults: without(
      isRawMap(defaults) ? defaults : new Map(),
      wrong.map((path) => path.slice(1)),
    ),
    adminListen: isWrong('admin.listen') ? null : adminListenOf(values, directory),
    account: {
      user: isWrong('user') ? null : readSection({ user: daemonSchema.user }, values, directory).user,
      group: isWrong('group') ? null : readSection({ group: daemonSchema.group }, values, directory).group,
    },
  };
}

function adminListenOf(values: RawMap, directory: string): ListenAddress | null {
  const admin = values.get('admin');
  const { listen } = daemonSchema.admin;
  return readSection({ listen }, isRawMap(admin) ? admin : new Map(), directory).listen;
}

/** One service whose values have been read, where they are free of flaws. */
interface CheckedService {
  readonly instance: Instance;
  readonly schema: Section;
  readonly values: RawMap;
  /** Keys whose values are not to be relied on. */
  readonly wrong: ReadonlySet<string>;
}

function checkServices(
  instances: readonly Instance[],
  { defaults }: CheckedDaemon,
  layers: Layers,
  directory: string,
  problems: Problems,
): readonly CheckedService[] {
  const schemas = new Map(instances.map((instance) => [instance.name, serviceSchema(instance, defaults)]));
  const given = new Map<string, Raw>();
  for (const instance of instances) {
    const schema = schemas.get(instance.name) ?? {};
    const path = ['services', instance.name];
    const raw = isUnchecked(instance) ? without(instance.raw, [['options']]) : instance.raw;
    given.set(instance.name, fit(schema, raw, path, layers, problems, unknownKeys(instance)));
    if (isUnchecked(instance)) checkUncheckedOptions(instance, layers, problems);
  }
  const schema: Section = { services: Object.fromEntries(schemas) };
  const { values, wrong } = complete(schema, new Map([['services', given]]));
  for (const path of wrong) reportFlaws(schema, values, path, { layers, directory, problems });
  return instances.map((instance) => {
    const own = rawAt(values, ['services', instance.name]);
    const keys = wrong.filter((path) => path[1] === instance.name).map((path) => String(path[2]));
    // A mapping there has been reported, and left out.
    const misfits = isRawMap(instance.raw.get('listen')) ? ['listen'] : [];
    return {
      instance,
      schema: schemas.get(instance.name) ?? {},
      values: isRawMap(own) ? own : new Map(),
      wrong: new Set([...keys, ...misfits]),
    };
  });
}

function serviceSchema({ kind, module }: Instance, defaults: RawMap): Section {
  const amplification = kind?.maxAmplification ?? commonSchema.maxAmplification.default;
  const ofKind = { ...commonSchema, maxAmplification: { ...commonSchema.maxAmplification, default: amplification } };
  const common = { ...ownSchema, ...withDefaults(ofKind, defaults) };
  if (kind === undefined) return common;
  const options = optionsSchema(kind);
  return module === undefined ? { ...common, ...options } : { ...common, options };
}

/** A module that is not imported yet: its options are checked where it is. */
function isUnchecked({ module, kind }: Instance): boolean {
  return module !== undefined && kind === undefined;
}

function unknownKeys(instance: Instance): UnknownKeys {
  const { kind, module, known } = instance;
  return {
    report: known,
    hint(key) {
      if (module === undefined && key === 'options')
        return ': the options of a built-in service stand beside its other keys';
      const isOption = module !== undefined && kind !== undefined && Object.hasOwn(kind.options, key);
      return isOption ? ': the options of a module stand under options' : undefined;
    },
  };
}

function checkUncheckedOptions({ name, raw }: Instance, layers: Layers, problems: Problems): void {
  const path = ['services', name, 'options'];
  const options = raw.get('options');
  if (options === undefined || isRawMap(options)) return;
  problems.add(layers.place(path), formatPath(path), 'is not a mapping: expected the options of the module');
}

interface Reporting {
  readonly layers: Layers;
  readonly directory: string;
  readonly problems: Problems;
}

function reportFlaws(schema: Section, values: RawMap, path: Path, reporting: Reporting): void {
  let node: ReturnType<typeof keyOf> = schema;
  for (const step of path) node = node === undefined || isLeaf(node) ? undefined : keyOf(node, String(step));
  if (!isLeaf(node)) return;
  const reading = node.format.read(rawAt(values, path) ?? null, reporting.directory);
  if (!('flaws' in reading)) return;
  for (const { item, message } of reading.flaws) {
    const at = item === undefined ? path : [...path, item];
    reporting.problems.add(reporting.layers.place(at), formatPath(at), message);
  }
}

/** A copy without some leaves. */
function without(map: RawMap, paths: readonly Path[]): RawMap {
  const kept = new Map<string, Raw>();
  for (const [key, value] of map) {
    const below = paths.filter((path) => path[0] === key).map((path) => path.slice(1));
    if (below.some((path) => path.length === 0)) continue;
    kept.set(key, isRawMap(value) ? without(value, below) : value);
  }
  return kept;
}

function listeningOf({ instance, values, wrong }: CheckedService): readonly Listening[] {
  if (wrong.has('listen')) return [];
  const { listen } = readSection({ listen: ownSchema.listen }, values, '/');
  const exposed = values.get('exposeUdp');
  const hazard =
    exposed === true || exposed === 'true' || wrong.has('exposeUdp') ? undefined : instance.kind?.udpHazard;
  return [{ service: instance.name, type: instance.type, listen, hazard }];
}

function resolveChecked({ instance, schema, values }: CheckedService, directory: string): ServiceConfig {
  return resolveService(instance, values, optionsOf(instance, schema, values, directory), directory);
}

function optionsOf(
  instance: Instance,
  schema: Section,
  values: RawMap,
  directory: string,
): Readonly<Record<string, unknown>> {
  if (instance.kind === undefined)
    return plainFromRaw(instance.raw.get('options') ?? new Map()) as Record<string, unknown>;
  const { kind, module } = instance;
  if (module === undefined) return readSection(pick(schema, Object.keys(kind.options)), values, directory);
  const options = values.get('options');
  return readSection(optionsSchema(kind), isRawMap(options) ? options : new Map(), directory);
}

function pick(schema: Section, keys: readonly string[]): Section {
  return Object.fromEntries(keys.flatMap((key) => (schema[key] === undefined ? [] : [[key, schema[key]]])));
}
