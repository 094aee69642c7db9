import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Config, ServiceConfig } from '../config/config.ts';
import { type AccountProblem, type ConfigSource, loadConfig } from '../config/load.ts';
import type { LoadedConfig } from '../config/loaded-config.ts';
import { standardInput } from '../config/source.ts';
import { Deferred } from '../../deferred.ts';
import { TaskContext } from '../service-context.ts';
import { startPatienceMs } from '../supervisor/restart-policy.ts';
import { endWithParent, forbidNewPrivileges } from '../../kernel/privileges.ts';
import { accountId, assumeIdentity, findIdentity, type Identity, UnknownAccountError } from '../supervisor/identity.ts';
import { isApart, lateError } from './apart.ts';
import { type ConfigOptions, readSource } from './config-options.ts';

const waitPeriodMs = 1000;

/**
 * Leaves the start directory for good, and rewrites the config path so that it still resolves. Another user may own and
 * move that directory, and Node creates and removes UNIX sockets by relative path.
 */
export function leaveDirectory<Options extends ConfigOptions>(options: Options): Options {
  const { config } = options;
  // Not by resolve, which treats `link/..` as the directory of the link.
  const directory = process.cwd();
  const isPlaced = config === undefined || config === standardInput || /^(?:\/|$)/.test(config);
  process.chdir('/');
  return { ...options, directory, ...(!isPlaced && { config: `${directory}/${config}` }) };
}

/** A valid config, as read and as resolved. */
export interface PreparedConfig {
  readonly source: ConfigSource;
  readonly loaded: LoadedConfig;
  /** Hash of the resolved config, short enough to compare by eye. */
  readonly hash: string;
  /** Whom the workers become, or null if they stay what this process is. */
  readonly identity: Identity | null;
}

/**
 * Reads and checks a config, the first step of `run` and of a reload. Third-party modules are left to the workers,
 * because a process that has imported a module never sees another version of it. Under root, so are the files that
 * services name: workers open them as their user. Throws the errors of `loadConfig` and `findIdentity`.
 */
export async function prepare(options: ConfigOptions): Promise<PreparedConfig> {
  const source = await readSource(options);
  let identity: Identity | null | undefined;
  const loaded = await loadConfig(source, {
    importModules: false,
    beforeFiles: async (account) =>
      withUser(account, (found) => {
        identity = found;
      }),
    ...(!isRoot() && { trialContext }),
    accounts: accountId,
  });
  const { user, group } = loaded.config;
  return {
    source,
    loaded,
    hash: hashOf(loaded),
    identity: identity === undefined ? await findIdentity(user, group) : identity,
  };
}

/** Hash of a resolved config, short enough to compare by eye. */
export function hashOf({ printed }: LoadedConfig): string {
  return createHash('sha256').update(JSON.stringify(printed)).digest('hex').slice(0, 12);
}

/**
 * Reads a config and checks all of it, including modules and files, as `check` does. A root process becomes the user of
 * the config for good before it opens what the config names. Throws `CHECK_ENDED` if that takes longer than a worker
 * may take. It cannot interrupt an endless loop in a module; the user can, and under root, `runApart` does.
 */
export async function prepareAsUser(
  options: ConfigOptions,
  clock: Clock = systemClock,
): Promise<Pick<PreparedConfig, 'source' | 'loaded'>> {
  const source = await readSource(options);
  // Import modules from the daemon's working directory.
  process.chdir('/');
  const late = new Deferred<never>();
  let waitedMs = 0;
  // Not one timer: time in which this process is stopped does not count.
  const cancel = clock.every(waitPeriodMs, () => {
    waitedMs += waitPeriodMs;
    if (waitedMs >= startPatienceMs) late.reject(lateError());
  });
  const loading = loadConfig(source, {
    importModules: true,
    beforeFiles: async (account) => withUser(account, becomeUser),
    trialContext,
    accounts: accountId,
  });
  return { source, loaded: await Promise.race([loading, late.promise]).finally(cancel) };
}

/** Under root, looks up the user that workers run as. Returns the problem if there is none. */
async function withUser(
  { user, group }: Pick<Config, 'user' | 'group'>,
  use: (identity: Identity | null) => void,
): Promise<AccountProblem | undefined> {
  if (!isRoot()) return undefined;
  try {
    use(await findIdentity(user, group));
    return undefined;
  } catch (error) {
    if (error instanceof UnknownAccountError) return { key: error.key, message: error.fault };
    throw error;
  }
}

function becomeUser(identity: Identity | null): void {
  if (identity !== null) assumeIdentity(identity);
  // This process is no longer root, and code it imports cannot gain privileges.
  forbidNewPrivileges();
  if (isApart) endWithParent(process.ppid);
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

function trialContext(_service: ServiceConfig, services: TaskContext['services']): TaskContext {
  return new TaskContext(systemClock, Math.random, pino({ level: 'silent' }), services);
}
