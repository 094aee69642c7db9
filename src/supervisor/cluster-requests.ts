import { createHook } from 'node:async_hooks';
import type { Worker } from 'node:cluster';
import * as v from 'valibot';
import { readReport } from './reports.ts';

/** What node:cluster in a worker says to the primary; all of it is shorter. */
const maxMessageBytes = 4096;

const sequence = v.pipe(v.number(), v.integer());
const listening = {
  cmd: v.literal('NODE_CLUSTER'),
  index: v.pipe(v.number(), v.integer(), v.minValue(0)),
  data: v.optional(v.null()),
  address: v.nullish(v.pipe(v.string(), v.maxLength(300))),
  port: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(-1), v.maxValue(65_535))),
  addressType: v.nullish(v.picklist([4, 6, -1, 'udp4', 'udp6'])),
  fd: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(-1))),
  flags: v.nullish(v.number()),
  backlog: v.nullish(v.number()),
  readableAll: v.nullish(v.boolean()),
  writableAll: v.nullish(v.boolean()),
  seq: sequence,
};

/** The messages of a worker's node:cluster that we have a use for; of others the primary might die. */
const clusterMessage = v.union([
  v.strictObject({ cmd: v.literal('NODE_HANDLE_ACK') }),
  v.variant('act', [
    v.strictObject({ cmd: v.literal('NODE_CLUSTER'), act: v.literal('online'), seq: sequence }),
    v.strictObject({ cmd: v.literal('NODE_CLUSTER'), act: v.literal('close'), key: v.string(), seq: sequence }),
    v.strictObject({ ...listening, act: v.literal('queryServer') }),
    v.strictObject({ ...listening, act: v.literal('listening') }),
  ]),
]);

/** What the handle of Node's own channel has, which its documentation does not mention. */
interface ChannelHandle {
  onread: (bytes: ArrayBuffer | undefined) => void;
  /** A descriptor that came with the bytes. */
  readonly pendingHandle: unknown;
}

/**
 * Forks a worker of node:cluster and stands between its channel and Node, which believes all that comes, holds a message
 * of any size in memory, and throws at some where nobody can catch it. What is not a message of node:cluster, or asks
 * for a listener that `isPlanned` does not know, is not passed on, nor is anything after it; `failed` is told.
 */
export function forkGuarded(
  fork: () => Worker,
  isPlanned: (request: ListenerRequest) => boolean,
  failed: (fault: string) => void,
): Worker {
  const handles: object[] = [];
  const hook = createHook({
    init: (_id, type, _trigger, resource) => void (type === 'PIPEWRAP' && handles.push(resource)),
  });
  hook.enable();
  let worker: Worker;
  try {
    worker = fork();
  } finally {
    hook.disable();
  }
  const handle = handles.find((each): each is ChannelHandle => 'pendingHandle' in each);
  // Where there is no process there is no channel.
  if (handle === undefined && worker.process.pid !== undefined)
    throw new Error('the channel of node:cluster is not where it was');
  if (handle !== undefined) guard(handle, worker, isPlanned, failed);
  return worker;
}

/** A listener that a worker's node:cluster asks the primary for. */
export type ListenerRequest = Pick<v.InferOutput<typeof request>, 'address' | 'port' | 'addressType' | 'fd' | 'index'>;

const request = v.strictObject({ ...listening, act: v.literal('queryServer') });

function guard(
  handle: ChannelHandle,
  worker: Worker,
  isPlanned: (request: ListenerRequest) => boolean,
  failed: (fault: string) => void,
): void {
  const onread = handle.onread.bind(handle);
  let rest = '';
  let hasFailed = false;

  function faultIn(line: string): string | undefined {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return 'a message that is not JSON';
    }
    const reading = readReport(clusterMessage, message);
    if ('fault' in reading) return reading.fault;
    const { report } = reading;
    // Node asserts that a descriptor is on its way.
    if (report.cmd === 'NODE_HANDLE_ACK')
      return awaitsAcknowledgement(worker) ? undefined : 'an acknowledgement of nothing';
    if (report.act === 'queryServer' && !isPlanned(report)) return 'a listener that is not its own';
    return undefined;
  }

  function faultOf(bytes: ArrayBuffer): string | undefined {
    if (handle.pendingHandle !== null && handle.pendingHandle !== undefined) return 'a descriptor';
    const lines = (rest + Buffer.from(bytes).toString()).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxMessageBytes) return `a message of more than ${maxMessageBytes} bytes`;
    // The second would be for a descriptor that Node sends after the first.
    if (lines.filter((line) => line.includes('NODE_HANDLE_ACK')).length > 1) return 'an acknowledgement of nothing';
    return lines.map(faultIn).find((fault) => fault !== undefined);
  }

  handle.onread = (bytes) => {
    const fault = hasFailed || bytes === undefined ? undefined : faultOf(bytes);
    if (fault !== undefined) {
      hasFailed = true;
      failed(fault);
    }
    // The end of the channel is always passed on.
    if (!hasFailed || bytes === undefined) onread(bytes);
  };
}

/** Node's own note of what it has sent and waits for. */
function awaitsAcknowledgement({ process }: Worker): boolean {
  return Array.isArray((process as typeof process & { readonly _handleQueue?: unknown })._handleQueue);
}
