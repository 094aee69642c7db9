import type { Logger } from 'pino';
import { systemClock } from '../clock/clock.ts';
import { loadConfig } from '../config/load.ts';
import { formatListeners } from '../console/listeners.ts';
import type { ExitCode } from '../exit-codes.ts';
import { hostServices } from '../host.ts';
import { InProcessDaemon } from '../in-process-daemon.ts';
import { createLog, LogSink } from '../log.ts';
import type { RunningDaemon } from '../running-daemon.ts';
import { assumeIdentity, findIdentity, type Identity, unprivilegedUser } from '../supervisor/identity.ts';
import { Signals } from '../supervisor/signals.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { formatBoundAddress } from '../transport/listener.ts';
import { passedDescriptors } from '../transport/inherited.ts';
import { type PlannedListener, planListeners } from '../transport/plan.ts';
import { version } from '../version.ts';
import { type ConfigOptions, type PreparedConfig, prepare } from './prepare.ts';

/** What systemd tells the supervisor alone: workers and what services start must not think it is meant for them. */
const serviceManagerVariables = [
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
];

/** `smallservd run`: serves until told to stop. Resolves with the exit code; rejects where the daemon cannot start. */
export async function run(options: ConfigOptions): Promise<ExitCode> {
  const startedMs = systemClock.monotonicMs();
  const signals = new Signals(systemClock);
  const prepared = await prepare(options, process.geteuid?.() !== 0);
  const { config } = prepared.loaded;
  const passed = passedDescriptors(process.env, process.pid);
  for (const variable of serviceManagerVariables) delete process.env[variable];
  const identity = findIdentity(config.user, config.group);
  const plan = await planListeners(config, passed);
  const sink = config.log.file === null ? await LogSink.standardOutput() : await LogSink.file(config.log.file);
  const log = createLog(config.log, sink);
  sink.reportLostLines(log);
  log.info(
    { version, node: process.version, pid: process.pid, config: prepared.source.name, workers: config.workers },
    'starting',
  );
  if (identity !== null && config.user === null)
    log.warn({ user: unprivilegedUser }, 'started as root, and the config names no user: serving as this one');

  // The clock's timers keep no process alive, and while the workers are dead and wait for their next start nothing else does.
  const alive = setInterval(() => {}, 1 << 30);
  try {
    const daemon = await launch(prepared, plan, identity, sink, log);
    signals.deliverTo(daemon, () => {
      if (sink.isStandardOutput) return;
      sink.reopen();
      log.info({}, 'the log file is open anew');
    });
    // A stop that comes first ends the daemon before it is ready.
    const isReady = await Promise.race([daemon.ready.then(() => true), daemon.ended.then(() => false)]);
    if (isReady) announce(daemon, sink, log, systemClock.monotonicMs() - startedMs);
    const code = await daemon.ended;
    log.info({ exitCode: code }, 'stopped');
    return code;
  } finally {
    clearInterval(alive);
    await sink.flush();
  }
}

async function launch(
  { source, loaded: { config } }: PreparedConfig,
  plan: readonly PlannedListener[],
  identity: Identity | null,
  sink: LogSink,
  log: Logger,
): Promise<RunningDaemon> {
  const clock = systemClock;
  if (config.workers > 0) return Supervisor.launch({ config, source, plan, identity, clock, sink, log });
  // As a worker does: load code and config, become the user, then open. Nobody is ever served as root, so low ports need a supervisor.
  const whole = await loadConfig(source, { importModules: true });
  const services = await hostServices(whole, clock, Math.random, log);
  if (identity !== null) assumeIdentity(identity);
  return new InProcessDaemon({ config, services, plan, clock, random: Math.random, log });
}

function announce(daemon: RunningDaemon, sink: LogSink, log: Logger, ms: number): void {
  const { listeners } = daemon;
  for (const each of listeners) log.info({ service: each.service, address: formatBoundAddress(each) }, 'listening');
  for (const { service, text } of daemon.skipped)
    log.info({ service, listen: text }, 'not listening: this machine lacks the address family');
  log.info({ listeners: listeners.length, ms: Math.round(ms) }, 'ready');
  if (process.stdout.isTTY && sink.isStandardOutput) sink.print(`\n${formatListeners(listeners)}\n`);
}
