import { SmallservdError } from '../../errors.ts';
import { ConfigError, type NamedService, type Service, type ServiceContext } from '../../service.ts';
import { synchronous } from '../transport/synchronous.ts';
import type { ServiceConfig } from './config.ts';
import type { LoadedConfig } from './loaded-config.ts';
import { Problems, type Report } from './problems.ts';

/** What the daemon provides to a service. `services` are those of the config, which it can hand clients to. */
export type ContextOf = (service: ServiceConfig, services: ReadonlyMap<string, NamedService>) => ServiceContext;

/**
 * Creates the services of a config, by name. `contextOf` returns what the daemon provides to each. Throws
 * `ConfigInvalidError` with everything the services reject in their options and files, and `SERVICE_NOT_CREATED` for
 * any other failure. Services already created are then closed.
 */
export async function createServices(
  { config, modules, root }: LoadedConfig,
  contextOf: ContextOf,
): Promise<ReadonlyMap<string, Service>> {
  const created = new Map<string, Service>();
  const named = namedServices(config.services, modules, created);
  const problems = new Problems();
  try {
    await createEach(
      config.services,
      modules,
      (service) => contextOf(service, named),
      problems.reporter(root),
      (name, service) => created.set(name, service),
    );
    if (problems.areAny) throw problems.toError();
  } catch (error) {
    for (const service of created.values()) service.close?.();
    throw error;
  }
  return created;
}

/** The services of a config for each other, by name. `created` may be filled later, but before clients come. */
export function namedServices(
  services: readonly ServiceConfig[],
  modules: LoadedConfig['modules'],
  created: ReadonlyMap<string, Service>,
): ReadonlyMap<string, NamedService> {
  return new Map(
    services.map(({ name, type }) => {
      const stream: NamedService['stream'] = (client) => {
        const service = created.get(name);
        if (service === undefined) throw new Error(`${name} is not created yet`);
        return synchronous(service.stream?.(client));
      };
      return [name, { type, transport: modules.get(name)?.transport, stream }];
    }),
  );
}

/** Creates services one after the other, and reports what they reject. Throws `SERVICE_NOT_CREATED` otherwise. */
export async function createEach(
  services: readonly ServiceConfig[],
  modules: LoadedConfig['modules'],
  contextOf: (service: ServiceConfig) => ServiceContext,
  report: Report,
  take: (name: string, service: Service) => void,
): Promise<void> {
  for (const service of services) {
    try {
      const created = await modules.get(service.name)?.create(service.options, contextOf(service));
      if (created !== undefined) take(service.name, created);
    } catch (error) {
      if (!isConfigError(error)) {
        const reason = error instanceof Error ? error.message : String(error);
        const message = `services.${service.name} cannot be created: ${reason}`;
        throw new SmallservdError('SERVICE_NOT_CREATED', message, { cause: error });
      }
      reportRejected(service, error, report);
    }
  }
}

function reportRejected(service: ServiceConfig, { option, file, line, message }: ConfigError, report: Report): void {
  const options = service.moduleUrl === undefined ? [] : ['options'];
  const path = ['services', service.name, ...(option === undefined ? [] : [...options, option])];
  if (file !== undefined && line !== undefined) report(path, message, { where: `${file}:${line}` });
  else report(path, file === undefined ? message : `${file} ${message}`);
}

/** By name, because a third-party module may have its own copy of this package. */
function isConfigError(error: unknown): error is ConfigError {
  return error instanceof ConfigError || (error instanceof Error && error.name === 'ConfigError');
}
