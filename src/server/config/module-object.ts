import type { Service, ServiceContext, ServiceModule } from '../../service.ts';
import { isPlainObject } from './tree.ts';

/** A service module, whatever its options. */
export interface ModuleObject extends Omit<ServiceModule, 'options' | 'create'> {
  readonly options: object;
  create(options: never, context: ServiceContext): Service | Promise<Service>;
}

/** By the name of the service that it is given for. Whether each is a service module has not been checked. */
export type ModuleObjects = ReadonlyMap<string, object>;

/**
 * Takes the modules that are objects out of a config that is one. Their names take their place, so that it is a config
 * of nothing but text, numbers, lists and maps, unless something else is wrong with it.
 */
export function takeModules(config: unknown): { readonly tree: unknown; readonly modules: ModuleObjects } {
  const modules = new Map<string, object>();
  if (!isPlainObject(config) || !isPlainObject(config['services'])) return { tree: config, modules };
  const entries = Object.entries(config['services']).map(([name, service]): [string, unknown] => {
    if (!isPlainObject(service) || !isObject(service['module'])) return [name, service];
    const { module } = service;
    modules.set(name, module);
    return [name, { ...service, module: typeof module['name'] === 'string' ? module['name'] : name }];
  });
  return { tree: { ...config, services: Object.fromEntries(entries) }, modules };
}

/** A module may also be an instance of a class. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
