/**
 * A worker process: loads code and config, becomes its user and serves on the sockets that it has inherited, until told
 * to stop. It takes orders only over its channel, and ends when the supervisor is gone.
 */
import { closeSync } from 'node:fs';
import { systemClock } from '../../clock/clock.ts';
import { RunningClock } from '../../clock/running-clock.ts';
import { loadConfig } from '../config/load.ts';
import { SmallservdError } from '../../errors.ts';
import { exitCodes } from '../../exit-codes.ts';
import { prepareServices } from '../service-context.ts';
import { exitNow } from '../../kernel/exit.ts';
import { endWithParent } from '../../kernel/privileges.ts';
import { leaveTerminal } from '../../kernel/terminal.ts';
import { Lifecycle } from '../lifecycle.ts';
import { LimitMemory } from '../limit-memory.ts';
import { createLog, LogSink } from '../log.ts';
import { HealthMeter } from '../process-health.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { assumeIdentity } from './identity.ts';
import { Channel } from './channel.ts';
import { heartbeatPeriodMs, type WorkerOrder } from './messages.ts';
import { explain, mostLostLines, type WorkerReport } from './reports.ts';

// A signal to the process group also reaches workers, but only the supervisor acts on it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
// Standard output is reserved for the log. What a service prints goes where the supervisor quotes it, line by line.
process.stdout.write = process.stderr.write.bind(process.stderr);

/** The supervisor: alive when it sends the first order. */
const parent = process.ppid;

/** Each order completes before the next begins, except `stop`. */
let working: Promise<void> = Promise.resolve();
let lifecycle: Lifecycle | undefined;
let listeners: readonly PlannedListener[] = [];
/** Inherited sockets that nobody has opened. */
const unopened = new Set<number>();
let opening: Promise<unknown> | undefined;
const health = new HealthMeter(systemClock);
/** Clients have not missed a deadline that passes while this process is stopped. */
const clock = new RunningClock(systemClock);
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
// None while the supervisor has yet to take earlier ones: it would find more of them at once than it allows.
systemClock.every(heartbeatPeriodMs, () => {
  if (supervisor.unsentBytes === 0) report(heartbeat());
});
report({ type: 'loaded' });

async function obey(order: Exclude<WorkerOrder, { type: 'stop' }>): Promise<void> {
  if (order.type === 'start') await start(order);
  else if (order.type === 'faults') lifecycle?.setFaults(order.service, order.rules ?? undefined);
  else if (order.type === 'own-ports') lifecycle?.addOwnPorts(order.ports);
  else await open(({ id }) => order.ids.includes(id));
}

async function open(isWanted: (planned: PlannedListener) => boolean): Promise<void> {
  const wanted = listeners.filter(isWanted);
  for (const { target } of wanted) if ('fd' in target) unopened.delete(target.fd);
  opening = lifecycle?.open(wanted);
  await opening;
}

async function start(order: Extract<WorkerOrder, { type: 'start' }>): Promise<void> {
  ({ listeners } = order);
  for (const { target } of listeners) if ('fd' in target) unopened.add(target.fd);
  sink = await LogSink.standardOutput();
  // Our own code is loaded. What the config names is opened as the user.
  leaveTerminal();
  if (order.identity !== null) assumeIdentity(order.identity);
  // A hung module would keep it from noticing that the supervisor is gone.
  endWithParent(parent);
  const loaded = await loadConfig(order.source, { importModules: true });
  const log = createLog(loaded.config.log, sink, { worker: order.name });
  const { processes, limits } = order;
  const services = await prepareServices(loaded, clock, Math.random, log, processes);
  const size = { services: loaded.config.services.length, workers: processes };
  lifecycle = new Lifecycle({
    config: loaded.config,
    services,
    processes,
    limitMemory: limits === undefined ? undefined : new LimitMemory(limits.descriptor, size, limits.slot),
    clock,
    random: Math.random,
    log,
  });
  lifecycle.addOwnPorts(order.ownPorts);
  for (const planned of listeners) lifecycle.assertMayAnswer(planned);
  await open(({ target }) => target.transport !== 'udp');
  report({ type: 'ready' });
}

async function stop(graceMs: number): Promise<void> {
  // It does not know its sockets, and serves nobody.
  if (listeners.length === 0) exitNow(exitCodes.stopped);
  lifecycle?.suspend();
  // A copy would keep an address bound that the config has let go of.
  for (const descriptor of unopened) closeSync(descriptor);
  unopened.clear();
  await opening?.catch(() => {});
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
    offenders: [...(lifecycle?.offenders ?? [])],
    health: health.take(),
    lostLines: Math.min(sink?.takeLost() ?? 0, mostLostLines),
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
