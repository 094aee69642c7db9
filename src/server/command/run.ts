import type { Logger } from 'pino';
import { type AdminEndpoint, openAdminEndpoint } from '../admin/endpoint.ts';
import { removeNodeVariables } from '../child-arguments.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { RunningClock } from '../../clock/running-clock.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { formatExposure, formatListeners } from './listeners-table.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { prepareServices } from '../service-context.ts';
import { InProcessDaemon } from '../in-process-daemon.ts';
import { keepDescriptors } from '../../kernel/descriptors.ts';
import { hasSockets } from '../../kernel/sockets.ts';
import { forbidNewPrivileges, leaveKeyring } from '../../kernel/privileges.ts';
import { createLog, LogSink } from '../log.ts';
import type { RunningDaemon } from '../running-daemon.ts';
import { adminIdentity, assumeIdentity, type Identity, sharedUser } from '../supervisor/identity.ts';
import { ListenerSockets } from '../supervisor/listener-sockets.ts';
import { type Condition, ServiceManager } from '../supervisor/service-manager.ts';
import { Signals } from '../supervisor/signals.ts';
import { socketAccessFor } from '../supervisor/socket-access.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { passedDescriptors } from '../transport/inherited.ts';
import { type PlannedListener, planListeners } from '../transport/plan.ts';
import { countOf, formatDuration } from '../../units.ts';
import { version } from '../../version.ts';
import { FaultControl } from './fault-control.ts';
import { logListeners, logSkipped, warnOf } from './announcements.ts';
import type { ConfigOptions } from './config-options.ts';
import { leaveDirectory, type PreparedConfig, prepare } from './prepare.ts';
import { Reloader } from './reloader.ts';
import { LiveSnapshots } from './live-snapshots.ts';

/** Variables that systemd sets for the supervisor only. Workers and what services start must not act on them. */
const serviceManagerVariables = [
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
];

/** What a stop during startup must still close, once it is open. */
interface Opened {
  sink?: LogSink;
  log?: Logger;
  admin?: AdminEndpoint;
  readonly sockets: ListenerSockets;
}

/**
 * `smallservd run`: serves until stopped. Resolves with the exit code. A stop during startup resolves at once: pending
 * startup work is abandoned, and the process must exit. Rejects if the daemon cannot start.
 */
export async function run(options: ConfigOptions): Promise<ExitCode> {
  // Permanent, including children: a UNIX socket belongs to its owner alone until it is given away, and so do the log
  // file and files written by modules.
  process.umask(0o077);
  keepDescriptors();
  leaveKeyring();
  const placed = leaveDirectory(options);
  const signals = new Signals(systemClock);
  // Neither a worker nor a client has missed a deadline that passes while this process is stopped.
  const clock = new RunningClock(systemClock);
  const opened: Opened = { sockets: new ListenerSockets() };
  return await Promise.race([
    serve(placed, signals, clock, opened),
    signals.stoppedEarly.then(() => stopEarly(opened)),
  ]);
}

async function stopEarly({ sink, log, admin, sockets }: Opened): Promise<ExitCode> {
  sockets.removeFiles();
  await admin?.close();
  log?.info({ exitCode: exitCodes.stopped }, 'stopped');
  await sink?.flush();
  return exitCodes.stopped;
}

async function serve(options: ConfigOptions, signals: Signals, clock: Clock, opened: Opened): Promise<ExitCode> {
  const startedMs = systemClock.monotonicMs();
  // Inherited by workers and everything they start.
  const canGainPrivileges = !forbidNewPrivileges();
  const prepared = await prepare(options);
  const { identity } = prepared;
  const { config } = prepared.loaded;
  const passed = passedDescriptors(process.env, process.pid);
  const environment = { ...process.env };
  for (const variable of serviceManagerVariables) delete process.env[variable];
  removeNodeVariables(process.env);
  const plan = await planListeners(config, passed, socketAccessFor(identity));
  const { file } = config.log;
  const sink = await (file === null ? LogSink.standardOutput() : LogSink.file(file, identity));
  const log = createLog(config.log, sink);
  Object.assign(opened, { sink, log });
  sink.reportLostLines(log);
  log.info(describeStart(prepared), 'starting');
  if (config.user === null && identity?.user === sharedUser)
    log.warn({ user: sharedUser }, 'workers run as a user shared with other daemons, add a user smallservd');
  if (canGainPrivileges) log.warn({}, 'no_new_privs not set, services can run set-uid programs');
  warnOf(config, log);

  // The clock's timers do not keep the process alive, and nothing else does while all workers wait to be restarted.
  const alive = setInterval(() => {}, 1 << 30);
  const manager = new ServiceManager({ environment, pid: process.pid, clock: systemClock, log });
  const snapshots = new LiveSnapshots(prepared, sink, systemClock);
  let admin: AdminEndpoint | undefined;
  try {
    const launch = await readyToLaunch(prepared, plan, identity, opened.sockets, clock, sink, log);
    admin = await openAdmin(config, passed, identity, snapshots, clock, log);
    if (admin !== undefined) opened.admin = admin;
    const daemon = await launch();
    snapshots.daemon = daemon;
    const reloader = new Reloader(daemon instanceof Supervisor ? daemon : undefined, prepared, {
      command: options,
      passed,
      clock: systemClock,
      log,
      onStart: () => manager.reloading(),
      onReplaced(workers) {
        sink.trust(workers);
        snapshots.faults?.reloaded();
      },
      onEnd: () => manager.reloaded(conditionOf(daemon).status),
    });
    snapshots.reloader = reloader;
    signals.deliverTo(daemon, {
      reopenLog: () => void reopen(sink, log),
      hangUp() {
        const reopened = reopen(sink, log);
        // Wait until startup is fully logged. Lines about the reload go into the new file.
        Promise.all([daemon.ready, reopened])
          .then(() => setImmediate(() => reloader.reload()))
          .catch(() => {});
      },
      stopping() {
        announceStop(daemon, reloader.current.loaded.config, sink, log);
        manager.stopping();
      },
    });
    // An earlier stop ends the daemon before it is ready.
    const isReady = await Promise.race([daemon.ready.then(() => true), daemon.ended.then(() => false)]);
    if (isReady) {
      announce(daemon, config, sink, log, systemClock.monotonicMs() - startedMs);
      manager.ready(() => conditionOf(daemon));
    }
    const code = await daemon.ended;
    log.info({ exitCode: code }, 'stopped');
    return code;
  } finally {
    await admin?.close();
    clearInterval(alive);
    await sink.flush();
  }
}

function describeStart({ source, loaded: { config } }: PreparedConfig): object {
  const { workers, workersLimit } = config;
  return { version, node: process.version, pid: process.pid, config: source.name, workerCount: workers, workersLimit };
}

/** Loads what must come first. Resolves with a function that forks the workers, or serves in this process. */
async function readyToLaunch(
  { source, loaded: { config } }: PreparedConfig,
  plan: readonly PlannedListener[],
  identity: Identity | null,
  sockets: ListenerSockets,
  clock: Clock,
  sink: LogSink,
  log: Logger,
): Promise<() => Promise<RunningDaemon>> {
  if (hasWorkers(config))
    return async () => Supervisor.launch({ config, source, plan, identity, clock, sink, log }, sockets);
  if (config.workers > 0) log.warn({}, 'no koffi for this machine, serving in one process, as with workers: 0');
  // As in a worker: become the user, load the config, then open listeners. Nobody is ever served as root, so low ports
  // need a supervisor. Standard output is reserved for the log, so what a module prints goes elsewhere.
  process.stdout.write = process.stderr.write.bind(process.stderr);
  if (identity !== null) assumeIdentity(identity);
  const whole = await loadConfig(source, { importModules: true });
  const services = await prepareServices(whole, clock, Math.random, log, 1);
  return async () => new InProcessDaemon({ config, services, plan, clock, random: Math.random, log });
}

function hasWorkers({ workers }: Config): boolean {
  return workers > 0 && hasSockets;
}

/** The mode of a UNIX socket through which the daemon can be changed: the kernel lets in its owner and root. */
const ownerOnly = 0o600;

async function openAdmin(
  config: Config,
  passed: ReadonlyMap<string, readonly number[]>,
  identity: Identity | null,
  snapshots: LiveSnapshots,
  clock: Clock,
  log: Logger,
): Promise<AdminEndpoint | undefined> {
  const { listen, hosts } = config.admin;
  if (listen === null) return undefined;
  snapshots.keepHistory();
  if (listen.scheme === 'unix' && listen.mode === ownerOnly) {
    snapshots.faults = new FaultControl({
      daemon: () => snapshots.daemon,
      config: () => snapshots.loaded.config,
      clock,
      log,
    });
  }
  const servedAs = process.geteuid?.() === 0 ? await adminIdentity(identity) : null;
  // Workers, which run as the same user, could remove a file of their own and listen there themselves.
  const access = socketAccessFor(servedAs, process.geteuid?.());
  const plan = await planListeners({ services: [{ name: 'admin', listen: [listen] }] }, passed, access);
  const hasClients = !hasWorkers(config);
  const endpoint = await openAdminEndpoint(snapshots, { plan, hosts, identity: servedAs, hasClients, clock, log });
  log.info({ listen: listen.text }, 'admin endpoint opened');
  return endpoint;
}

function countClients({ services }: RunningDaemon['report']): number {
  return [...services.values()].reduce((sum, { stream }) => sum + stream.active, 0);
}

/** The daemon's condition as reported to the service manager. */
function conditionOf({ report }: RunningDaemon): Condition {
  const { state, workers, listeners } = report;
  const clients = countClients(report);
  const open = listeners.filter(({ isOpen }) => isOpen).length;
  const ready = workers.filter(({ status }) => status === 'ready').length;
  return {
    status: `${state}: ${countOf(clients, 'client')}, ${open} of ${countOf(listeners.length, 'listener')} open, ${countOf(ready, 'worker')}`,
    isHealthy: ready > 0,
  };
}

/** Reopens the log file, which may have been moved away. */
async function reopen(sink: LogSink, log: Logger): Promise<void> {
  if (sink.isStandardOutput) return;
  try {
    await sink.reopen();
    log.info({}, 'log file reopened');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ error: reason }, 'cannot reopen the log file, keeping the old one');
  }
}

/** Whoever waits for the daemon to end learns at once what it waits for, and how not to wait. */
function announceStop(daemon: RunningDaemon, { shutdown: { graceMs } }: Config, sink: LogSink, log: Logger): void {
  const clients = countClients(daemon.report);
  log.info({ clients, graceMs }, 'stopping');
  if (clients === 0 || !isOnTerminal(sink)) return;
  sink.print(
    `\nWaiting for ${countOf(clients, 'client')}, up to ${formatDuration(graceMs)}. To disconnect now, press Ctrl-C again.\n`,
  );
}

function isOnTerminal(sink: LogSink): boolean {
  return process.stdout.isTTY && sink.isStandardOutput;
}

function announce(daemon: RunningDaemon, { services }: Config, sink: LogSink, log: Logger, ms: number): void {
  const { listeners } = daemon;
  logListeners(listeners, log);
  logSkipped(daemon.skipped, log);
  log.info({ listenerCount: listeners.length, ms: Math.round(ms) }, 'ready');
  if (!isOnTerminal(sink)) return;
  const narrowed = new Map(
    services.map(({ name, access, proxy }) => [
      name,
      { hasAllow: access.allow.length > 0, hasProxies: proxy.from.length > 0 },
    ]),
  );
  sink.print(`
${formatListeners(listeners)}
${formatExposure(listeners, narrowed)}
`);
}
