import type { AnyServiceModule } from '../../services/index.ts';
import { type Config, resolveDaemon, resolveService, type ServiceConfig } from './config.ts';
import { type ContextOf, createEach, namedServices } from './create-services.ts';
import { findInstances, type Instance } from './instances.ts';
import { readLayers } from './layers.ts';
import { type AccountLookup, checkListeners, type Listening } from './listeners.ts';
import type { LoadedConfig } from './loaded-config.ts';
import type { ModuleObjects } from './module-object.ts';
import { Problems } from './problems.ts';
import { type Printed, type ReadContext, type Reading, readDefaults, readSection } from './reading.ts';
import { commonSchema, daemonSchema } from './schema.ts';
import type { Section } from './section.ts';
import { plainSection, sectionOf } from './service-section.ts';
import type { ConfigSource } from './source.ts';
import { type ConfigNode, isMapNode, plainOf } from './tree.ts';

export { type ConfigSource, readConfigSource } from './source.ts';

export interface LoadOptions {
  /** Whether to look for and import third-party modules. A supervisor, which may be root, must not run their code. */
  readonly importModules: boolean;
  /** Modules that are not to be imported, by the names of their services. */
  readonly modules?: ModuleObjects;
  /**
   * Called with the user and group, null if invalid, before anything that the config names is opened or imported.
   * Resolves with a problem if there is no such user or group; then nothing is opened or imported.
   */
  readonly beforeFiles?: (account: Pick<Config, 'user' | 'group'>) => Promise<AccountProblem | undefined>;
  /**
   * If set, every service with valid values is created once, to check the files it reads, and closed again. All
   * problems are then reported together.
   */
  readonly trialContext?: ContextOf;
  /** If set, owners and groups of UNIX sockets are looked up. */
  readonly accounts?: AccountLookup;
}

/** A user or group of the config that cannot be used on this machine. */
export interface AccountProblem {
  readonly key: 'user' | 'group';
  readonly message: string;
}

const topSchema = { ...daemonSchema, defaults: commonSchema };

/**
 * Validates and completes a config. Defaults, the file, the environment and `--set` apply in that order, each
 * overriding the previous. Throws `ConfigInvalidError` with all problems.
 */
export async function loadConfig(
  source: ConfigSource,
  { importModules, modules: given, beforeFiles, trialContext, accounts }: LoadOptions,
): Promise<LoadedConfig> {
  const problems = new Problems();
  const root = readLayers(source, problems);
  if (root === undefined) throw problems.toError();
  const report = problems.reporter(root);
  const context: ReadContext = { directory: source.directory, report };

  const { values, printed } = readSection(topSchema, root, [], context, { elsewhere: ['services'] });
  const account = await beforeFiles?.({ user: values.user, group: values.group });
  if (account !== undefined) report([account.key], account.message);
  const mayImport = importModules && account === undefined;
  const mayOpenFiles = trialContext !== undefined && account === undefined;
  const instances = await findInstances(root, { ...context, importModules: mayImport, modules: given });
  const reader = new ServiceReader(root, { values: values.defaults, printed: printed['defaults'] as Printed }, context);
  const read = instances.map((instance) => reader.read(instance));
  await checkListeners(read.flatMap(listeningOf), values.admin.listen, { accounts, mayOpenFiles }, report);

  const modules = new Map(
    instances.flatMap(({ name, module }) => (module === undefined ? [] : [[name, module] as const])),
  );
  const configs = read.map(({ config }) => config);
  if (mayOpenFiles) {
    const valid = configs.filter((_config, index) => read[index]?.reading.wrong.size === 0);
    const named = namedServices(configs, modules, new Map());
    const contextOf = (service: ServiceConfig): ReturnType<ContextOf> => trialContext(service, named);
    await createEach(valid, modules, contextOf, report, (_name, service) => service.close?.());
  }
  if (problems.areAny) throw problems.toError();
  const { defaults: _defaults, ...daemon } = printed;
  return {
    config: resolveDaemon(values, configs),
    printed: { ...daemon, services: Object.fromEntries(read.map(printService)) },
    modules,
    root,
  };
}

interface ReadService {
  readonly instance: Instance;
  readonly reading: Reading<typeof plainSection>;
  readonly config: ServiceConfig;
}

/** Reads services on top of `defaults`. */
class ServiceReader {
  readonly #context: ReadContext;
  readonly #defaults: Pick<Reading<typeof commonSchema>, 'values' | 'printed'>;
  /** The keys set in `defaults`. */
  readonly #given: readonly (string | number)[];
  readonly #fallbacks = new Map<Section, Pick<Reading, 'values' | 'printed'>>();

  constructor(
    root: ConfigNode,
    defaults: Pick<Reading<typeof commonSchema>, 'values' | 'printed'>,
    context: ReadContext,
  ) {
    const node = isMapNode(root) ? root.value.get('defaults') : undefined;
    this.#given = isMapNode(node) ? [...node.value.keys()].filter((name) => Object.hasOwn(commonSchema, name)) : [];
    this.#defaults = defaults;
    this.#context = context;
  }

  read(instance: Instance): ReadService {
    const { name, node, module, moduleUrl, isMistaken } = instance;
    const section = sectionOf(module, moduleUrl === undefined);
    // Options of a module are checked by the process that imports it.
    const isUnchecked = moduleUrl !== undefined && module === undefined;
    const reading = readSection(section, node, ['services', name], this.#context, {
      fallback: this.#fallback(section),
      elsewhere: isUnchecked ? ['options'] : [],
      acceptsUnknown: isMistaken,
      hint: (key) => misplacedOption(key, instance),
    });
    const unread = isMapNode(node) && isUnchecked ? node.value.get('options') : undefined;
    if (unread !== undefined && !isMapNode(unread))
      this.#context.report(['services', name, 'options'], 'is not a mapping: expected the options of the module');
    const values = reading.values as Readonly<Record<string, unknown>>;
    const options = isUnchecked
      ? ((unread === undefined ? {} : plainOf(unread)) as Readonly<Record<string, unknown>>)
      : optionsOf(module, moduleUrl === undefined, values);
    const common = reading as Reading<typeof plainSection>;
    return { instance, reading: common, config: resolveService(instance, common.values, options) };
  }

  #fallback(section: Section): Pick<Reading, 'values' | 'printed'> {
    const known = this.#fallbacks.get(section);
    if (known !== undefined) return known;
    const base = readDefaults(section);
    const { values, printed } = this.#defaults;
    const given = (from: object): object =>
      Object.fromEntries(Object.entries(from).filter(([name]) => this.#given.includes(name)));
    const fallback = { values: { ...base.values, ...given(values) }, printed: { ...base.printed, ...given(printed) } };
    this.#fallbacks.set(section, fallback);
    return fallback;
  }
}

function optionsOf(
  module: AnyServiceModule | undefined,
  isBuiltIn: boolean,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (module === undefined) return {};
  if (!isBuiltIn) return values['options'] as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.keys(module.options).map((key) => [key, values[key]]));
}

function misplacedOption(key: string, { module, moduleUrl }: Instance): string | undefined {
  if (moduleUrl === undefined)
    return key === 'options' ? ': options of a built-in service go next to its other keys' : undefined;
  const isOption = module !== undefined && Object.hasOwn(module.options, key);
  return isOption ? ': options of a module go under "options"' : undefined;
}

function listeningOf({ instance, reading: { values, wrong } }: ReadService): readonly Listening[] {
  if (wrong.has('listen')) return [];
  const { listen, exposeUdp } = values;
  const hazard = exposeUdp || wrong.has('exposeUdp') ? undefined : instance.module?.udpHazard;
  const { name, type, module } = instance;
  return [{ service: name, type, listen, transport: module?.transport, hazard }];
}

function printService({ instance, reading, config }: ReadService): readonly [name: string, printed: Printed] {
  const { type: _type, module: _module, faults, ...others } = reading.printed;
  // Almost nobody has them, and they are many.
  const printed = config.faults === undefined ? others : { ...others, faults };
  const { name, type, moduleUrl, module } = instance;
  const which = moduleUrl === undefined ? { type } : { module: moduleUrl };
  const unread = moduleUrl !== undefined && module === undefined ? { options: config.options } : {};
  return [name, { ...which, ...printed, ...unread }];
}
