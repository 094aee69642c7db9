/**
 * The admin endpoint as a separate process, used when the supervisor is root. It drops privileges before it listens and
 * gets its content from the supervisor. It exits when the supervisor is gone.
 */
import { systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { exitCodes } from '../../exit-codes.ts';
import { endWithParent } from '../../kernel/privileges.ts';
import { leaveTerminal } from '../../kernel/terminal.ts';
import { readOpenFiles } from '../../open-files.ts';
import { Channel } from '../supervisor/channel.ts';
import { readCpuTime } from '../process-health.ts';
import { assumeIdentity } from '../supervisor/identity.ts';
import { explain } from '../supervisor/reports.ts';
import { type AdminOrder, type AdminReport, alivePeriodMs } from './messages.ts';
import { newcomersFor } from './connections.ts';
import type { Live, Past } from './live.ts';
import { type AdminServer, openAdminServer } from './server.ts';
import type { FaultChange, FaultResult, Snapshot } from './snapshot.ts';

// Signals to the process group also arrive here, but only the supervisor acts on them.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});

/** The supervisor: alive when it sends its order. */
const parent = process.ppid;

/** How long the supervisor may take to answer before it counts as hanging. */
const answerMs = 3000;

let server: AdminServer | undefined;
const asked = new Map<number, (value: unknown) => void>();
let questions = 0;

const supervisor = Channel.toSupervisor(
  (message) => {
    const order = message as AdminOrder;
    if (order.type === 'open') void open(order).catch(fail);
    else {
      asked.get(order.id)?.(order.value);
      asked.delete(order.id);
    }
  },
  () => {
    server?.close();
    process.exit(exitCodes.stopped);
  },
);

systemClock.every(alivePeriodMs, () => report({ type: 'alive' }));

async function open({ listeners, hosts, identity, canChange }: Extract<AdminOrder, { type: 'open' }>): Promise<void> {
  leaveTerminal();
  assumeIdentity(identity);
  endWithParent(parent);
  const source = {
    snapshot: async (): Promise<Snapshot> =>
      withOwnCpu((await answerTo({ type: 'ask', what: 'snapshot' })) as Snapshot),
    config: async (): Promise<unknown> => answerTo({ type: 'ask', what: 'config' }),
    live: async (): Promise<Live> => (await answerTo({ type: 'ask', what: 'live' })) as Live,
    past: async (): Promise<Past> => (await answerTo({ type: 'ask', what: 'past' })) as Past,
    changeFaults: canChange ? changeFaults : undefined,
  };
  server = await openAdminServer(listeners, source, hosts, newcomersFor(readOpenFiles()), {
    clock: systemClock,
    isStopping: () => false,
  });
  report({ type: 'opened' });
}

/** The supervisor does not know what this process uses. */
function withOwnCpu(snapshot: Snapshot): Snapshot {
  const { cpu } = snapshot;
  return cpu === undefined ? snapshot : { ...snapshot, cpu: { ...cpu, admin: readCpuTime() } };
}

async function changeFaults(change: FaultChange): Promise<FaultResult> {
  return (await answerTo({ type: 'change-faults', change })) as FaultResult;
}

type Question = Extract<AdminReport, { readonly id: number }>;

async function answerTo(question: OmitId<Question>): Promise<unknown> {
  questions += 1;
  const id = questions;
  return new Promise((resolve, reject) => {
    const cancel = systemClock.after(answerMs, () => {
      asked.delete(id);
      reject(new Error('no answer from the supervisor'));
    });
    asked.set(id, (value) => {
      cancel();
      resolve(value);
    });
    report({ ...question, id });
  });
}

/** Of each kind by itself. */
type OmitId<Each> = Each extends unknown ? Omit<Each, 'id'> : never;

function fail(error: unknown): void {
  const known =
    error instanceof SmallservdError ? error : new SmallservdError('LISTEN_FAILED', `admin: ${String(error)}`);
  report({ type: 'failed', ...explain(known) });
}

function report(message: AdminReport): void {
  supervisor.send(message);
}
