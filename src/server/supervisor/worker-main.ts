/**
 * A worker process: loads code and config, becomes its user, opens its listeners through the supervisor and serves
 * until told to stop. It takes orders only over IPC, and ends when the supervisor is gone.
 */
import { systemClock } from '../../clock/clock.ts';
import { loadConfig } from '../config/load.ts';
import { SmallservdError } from '../../errors.ts';
import { exitCodes } from '../../exit-codes.ts';
import { prepareServices } from '../service-context.ts';
import { exitNow } from '../../kernel/exit.ts';
import { endWithParent } from '../../kernel/privileges.ts';
import { leaveTerminal } from '../../kernel/terminal.ts';
import { Lifecycle, type OpenedListener } from '../lifecycle.ts';
import { createLog, LogSink } from '../log.ts';
import { HealthMeter } from '../process-health.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { assumeIdentity } from './identity.ts';
import { Channel } from './channel.ts';
import { heartbeatPeriodMs, type WorkerOrder } from './messages.ts';
import { explain, type Opened, type WorkerReport } from './reports.ts';

// A signal to the process group also reaches workers, but only the supervisor acts on it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
// Standard output is reserved for the log. What a service prints goes where the supervisor quotes it, line by line.
process.stdout.write = process.stderr.write.bind(process.stderr);

/** Each order completes before the next begins, except `stop`. */
let working: Promise<void> = Promise.resolve();
let lifecycle: Lifecycle | undefined;
const health = new HealthMeter(systemClock);
let sink: LogSink | undefined;

const supervisor = Channel.toSupervisor(
  (message) => {
    const order = message as WorkerOrder;
    if (order.type === 'stop') void stop(order.graceMs);
    else working = working.then(() => obey(order)).catch(fail);
  },
  // Not by exit, which waits for threads that may be reading from a dead file server. Nobody needs the exit code.
  () => void process.kill(process.pid, 'SIGKILL'),
);
systemClock.every(heartbeatPeriodMs, () => report(heartbeat()));
report({ type: 'loaded' });

async function obey(order: Exclude<WorkerOrder, { type: 'stop' }>): Promise<void> {
  if (order.type === 'start') await start(order);
  else if (order.type === 'own-ports') lifecycle?.addOwnPorts(order.ports);
  else if (lifecycle !== undefined) await openMore(lifecycle, order.listeners);
}

/** A socket that cannot be opened does not affect the clients of other listeners. */
async function openMore(running: Lifecycle, listeners: readonly PlannedListener[]): Promise<void> {
  try {
    report({ type: 'opened', opened: results(await running.open(listeners)) });
  } catch (error) {
    const services = [...new Set(listeners.map(({ service }) => service))];
    report({ type: 'not-opened', services, ...explain(asKnown(error)) });
  }
}

async function start(order: Extract<WorkerOrder, { type: 'start' }>): Promise<void> {
  sink = await LogSink.standardOutput();
  // Our own code is loaded. What the config names is opened as the user.
  leaveTerminal();
  if (order.identity !== null) assumeIdentity(order.identity);
  // A hung module would keep it from noticing that the supervisor is gone.
  endWithParent();
  const loaded = await loadConfig(order.source, { importModules: true });
  const log = createLog(loaded.config.log, sink, { worker: order.name });
  const services = await prepareServices(loaded, systemClock, Math.random, log, order.processes);
  lifecycle = new Lifecycle({
    config: loaded.config,
    services,
    processes: order.processes,
    clock: systemClock,
    random: Math.random,
    log,
  });
  lifecycle.addOwnPorts(order.ownPorts);
  report({ type: 'ready', opened: results(await lifecycle.open(order.listeners)) });
}

async function stop(graceMs: number): Promise<void> {
  lifecycle?.suspend();
  report({ type: 'suspended' });
  await lifecycle?.drain(graceMs);
  await sink?.flush();
  report(heartbeat(), () => exitNow(exitCodes.stopped));
}

function heartbeat(): WorkerReport {
  return {
    type: 'heartbeat',
    counters: [...(lifecycle?.counters ?? [])],
    topSources: [...(lifecycle?.topSources ?? [])],
    health: health.take(),
    lostLines: sink?.takeLost() ?? 0,
  };
}

/** Reports the reason to the supervisor, and exits. */
function fail(error: unknown): void {
  const known = asKnown(error);
  report({ type: 'failed', ...explain(known) }, () => exitNow(known.exitCode));
}

function asKnown(error: unknown): SmallservdError {
  if (error instanceof SmallservdError) return error;
  return new SmallservdError('WORKER_FAILED', error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** `sent` runs when the report is on its way, or cannot be sent. */
function report(message: WorkerReport, sent: () => void = () => {}): void {
  supervisor.send(message, sent);
}

function results(opened: readonly OpenedListener[]): readonly Opened[] {
  return opened.map(({ planned, bound }) => ({ id: planned.id, bound: bound ?? null }));
}
