import { suggest } from '../../suggestion.ts';
import { type AnyServiceModule, findService, services } from '../../services/index.ts';
import { resolveModule } from './module-path.ts';
import type { ModuleObjects } from './module-object.ts';
import { importServiceModule, readServiceModule } from './modules.ts';
import type { ReadContext } from './reading.ts';
import { type ConfigNode, isMapNode } from './tree.ts';

/** A resolved entry under `services`. */
export interface Instance {
  readonly name: string;
  readonly node: ConfigNode;
  readonly type: string;
  /** `file:` URL of a third-party module, its name in the config while it is not imported, or that of an object. */
  readonly moduleUrl: string | undefined;
  /** Undefined while it is not imported, or if it is unknown, which has been reported. */
  readonly module: AnyServiceModule | undefined;
  /** True if it is unknown because of an error, so options cannot be told from unknown keys. */
  readonly isMistaken: boolean;
}

interface FindContext extends ReadContext {
  readonly importModules: boolean;
  /** Those that the config holds itself. */
  readonly modules?: ModuleObjects | undefined;
}

/** Finds the module of every service. Invalid names, types and modules are reported. */
export async function findInstances(root: ConfigNode, context: FindContext): Promise<readonly Instance[]> {
  const { report } = context;
  const found = isMapNode(root) ? root.value.get('services') : undefined;
  if (!isMapNode(found) || found.value.size === 0) {
    const isEmpty = (found?.value ?? null) === null || isMapNode(found);
    const fault = isEmpty ? 'is missing or empty' : 'is not a mapping of services';
    report(['services'], `${fault}: expected at least one, such as echo:`);
    return [];
  }
  const instances: Instance[] = [];
  for (const [name, node] of found.value) {
    const path = ['services', name];
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
      report(path, 'is not a valid service name: expected a-z, then a-z, 0-9 and -', { part: 'key' });
    else if (isMapNode(node)) instances.push(await findInstance(name, node, context));
    else report(path, 'is not a mapping: expected the keys of a service, such as listen:');
  }
  return instances;
}

async function findInstance(name: string, node: ConfigNode, context: FindContext): Promise<Instance> {
  const type = textAt(node, 'type');
  const url = textAt(node, 'module');
  const mistaken: Instance = { name, node, type: name, moduleUrl: undefined, module: undefined, isMistaken: true };
  if (type !== null && url !== null) {
    context.report(['services', name, 'module'], 'cannot be combined with type');
    return mistaken;
  }
  const given = context.modules?.get(name);
  if (typeof url === 'string' && given !== undefined) return takeInstance(mistaken, url, given, context);
  // Without importing the module, do not look at its files either.
  if (typeof url === 'string' && !context.importModules) return { ...mistaken, isMistaken: false, moduleUrl: url };
  if (typeof url === 'string') return importInstance(mistaken, url, context);
  // The format reports a type or module that is not text.
  if (url !== null || type === undefined) return mistaken;
  const module = findService(type ?? name);
  if (module !== undefined) return { ...mistaken, isMistaken: false, type: module.name, module };
  const names = services.map((service) => service.name);
  const guess = suggest(type ?? name, names);
  const path = ['services', name];
  if (type !== null)
    context.report(
      [...path, 'type'],
      `unknown service ${JSON.stringify(type)}: expected one of ${names.join(', ')}${guess}`,
    );
  else {
    const expected = `expected ${names.join(', ')}; for any other name, set "type" or "module"`;
    context.report(path, `unknown service: ${expected}${guess}`, { part: 'key' });
  }
  return mistaken;
}

async function importInstance(instance: Instance, specifier: string, context: FindContext): Promise<Instance> {
  try {
    const moduleUrl = await resolveModule(specifier, context.directory);
    const module = await importServiceModule(moduleUrl);
    return { ...instance, moduleUrl, type: module.name, module, isMistaken: false };
  } catch (error) {
    return reportModule(instance, specifier, error, context);
  }
}

function takeInstance(instance: Instance, name: string, given: object, context: FindContext): Instance {
  try {
    const module = readServiceModule(given);
    return { ...instance, moduleUrl: name, type: module.name, module, isMistaken: false };
  } catch (error) {
    return reportModule(instance, name, error, context);
  }
}

function reportModule(instance: Instance, text: string, error: unknown, { report }: FindContext): Instance {
  const reason = error instanceof Error ? error.message : String(error);
  report(['services', instance.name, 'module'], `${JSON.stringify(text)}: ${reason}`);
  return instance;
}

/** Null if the key is not set; undefined if the value is not text. */
function textAt(node: ConfigNode, key: string): string | null | undefined {
  const value = isMapNode(node) ? (node.value.get(key)?.value ?? null) : null;
  return value === null || typeof value === 'string' ? value : undefined;
}
