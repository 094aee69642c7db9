import { SmallservdError } from '../../errors.ts';
import { ConfigError, type ServiceContext, type Service } from '../../service.ts';
import type { ServiceConfig } from './config.ts';
import type { LoadedConfig } from './loaded-config.ts';
import { Problems } from './problems.ts';

/**
 * Creates the services of a config, by name. `contextOf` returns what the daemon provides to each. Throws
 * `ConfigInvalidError` with everything the services reject in their options and files, and `SERVICE_NOT_CREATED` for
 * any other failure. Services already created are then closed.
 */
export async function createServices(
  loaded: LoadedConfig,
  contextOf: (service: ServiceConfig) => ServiceContext,
): Promise<ReadonlyMap<string, Service>> {
  const created = new Map<string, Service>();
  const problems = new Problems();
  try {
    for (const service of loaded.config.services) {
      const module = loaded.modules.get(service.name);
      if (module === undefined) continue;
      try {
        created.set(service.name, await module.create(service.options, contextOf(service)));
      } catch (error) {
        report(service, error, loaded.place, problems);
      }
    }
    if (problems.areAny) throw problems.toError();
  } catch (error) {
    for (const service of created.values()) service.close?.();
    throw error;
  }
  return created;
}

/** Creates and closes services. What they reject goes to `problems`. Throws `SERVICE_NOT_CREATED` otherwise. */
export async function tryServices(
  services: readonly ServiceConfig[],
  modules: LoadedConfig['modules'],
  contextOf: (service: ServiceConfig) => ServiceContext,
  place: LoadedConfig['place'],
  problems: Problems,
): Promise<void> {
  for (const service of services) {
    try {
      const created = await modules.get(service.name)?.create(service.options, contextOf(service));
      created?.close?.();
    } catch (error) {
      report(service, error, place, problems);
    }
  }
}

function report(service: ServiceConfig, error: unknown, place: LoadedConfig['place'], problems: Problems): void {
  if (!isConfigError(error)) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SmallservdError('SERVICE_NOT_CREATED', `services.${service.name} cannot be created: ${reason}`, {
      cause: error,
    });
  }
  const options = service.moduleUrl === undefined ? [] : ['options'];
  const option = error.option === undefined ? [] : [...options, error.option];
  const path = ['services', service.name, ...option];
  const placed = place(path);
  if (error.file !== undefined && error.line !== undefined)
    problems.add({ ...placed, where: `${error.file}:${error.line}`, names: undefined }, path, error.message);
  else problems.add(placed, path, error.file === undefined ? error.message : `${error.file} ${error.message}`);
}

/** By name, because a third-party module may have its own copy of this package. */
function isConfigError(error: unknown): error is ConfigError {
  return error instanceof ConfigError || (error instanceof Error && error.name === 'ConfigError');
}
