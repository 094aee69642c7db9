import { createHook } from 'node:async_hooks';
import type { Worker } from 'node:cluster';
import { StringDecoder } from 'node:string_decoder';
import * as v from 'valibot';
import { MessageRate } from './message-rate.ts';
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

/** A listener that a worker's node:cluster asks the primary for. */
export type ListenerRequest = Pick<
  v.InferOutput<typeof request>,
  'address' | 'port' | 'addressType' | 'fd' | 'flags' | 'index'
>;

const request = v.strictObject({ ...listening, act: v.literal('queryServer') });

/** What a worker may ask the primary for. */
export interface ClusterRules {
  readonly isPlanned: (request: ListenerRequest) => boolean;
  /** How many listeners it can have at once. */
  readonly maxListeners: number;
  readonly monotonicMs: () => number;
}

/** What the handle of Node's own channel has, which its documentation does not mention. */
interface ChannelHandle {
  onread: (bytes: ArrayBuffer | undefined) => void;
  /** A descriptor that came with the bytes. */
  pendingHandle: { close(): void } | null | undefined;
}

/** What node:cluster in the primary calls, with a message of its own. */
interface Sender {
  send(message: object, ...more: unknown[]): boolean;
  /** Where a descriptor was sent and is not acknowledged: what is to be sent after it. */
  readonly _handleQueue?: readonly unknown[] | null;
}

/**
 * Forks a worker of node:cluster and stands between its channel and Node, which believes all that comes, holds a message
 * of any size in memory, and throws at some where nobody can catch it. What is not a message of node:cluster, or asks
 * for what `rules` do not allow, is not passed on, nor is anything after it; `failed` is told.
 */
export function forkGuarded(fork: () => Worker, rules: ClusterRules, failed: (fault: string) => void): Worker {
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
  if (handle !== undefined) guard(handle, new ClusterRequests(worker.process, rules), failed);
  return worker;
}

/** Passes on what `requests` finds nothing wrong with. */
function guard(handle: ChannelHandle, requests: ClusterRequests, failed: (fault: string) => void): void {
  const onread = handle.onread.bind(handle);
  let hasFailed = false;
  handle.onread = (bytes) => {
    const isDescriptor = handle.pendingHandle !== null && handle.pendingHandle !== undefined;
    const fault = isDescriptor ? 'a descriptor' : bytes === undefined ? undefined : requests.faultIn(bytes);
    if (isDescriptor) {
      handle.pendingHandle?.close();
      handle.pendingHandle = null;
    }
    if (fault !== undefined && !hasFailed) {
      hasFailed = true;
      failed(fault);
    }
    // The end of the channel is always passed on.
    if (!hasFailed || bytes === undefined) onread(bytes);
  };
}

/** What one worker has asked the primary for, as the primary knows it. */
class ClusterRequests {
  readonly #sender: Sender;
  readonly #rules: ClusterRules;
  readonly #rate: MessageRate;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  /** The listeners that it has, or that the primary is about to send, by node:cluster's own keys. */
  readonly #held = new Set<string>();

  constructor(sender: Sender, rules: ClusterRules) {
    this.#sender = sender;
    this.#rules = rules;
    // It asks for each of its listeners, tells that it listens and acknowledges, all of them at once when it starts.
    this.#rate = new MessageRate(200 + 4 * rules.maxListeners, rules.monotonicMs);
    const send = sender.send.bind(sender);
    sender.send = (message, ...more) => {
      // The primary forgets what it could not open, and the worker asks again under another index.
      const { errno, key } = message as { readonly errno?: unknown; readonly key?: unknown };
      if (typeof errno === 'number' && errno !== 0 && typeof key === 'string') this.#held.delete(key);
      return send(message, ...more);
    };
  }

  /** What is wrong in what comes next, if anything. Nothing may be read after a fault. */
  faultIn(bytes: ArrayBuffer): string | undefined {
    const lines = (this.#rest + this.#decoder.write(Buffer.from(bytes))).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > maxMessageBytes) return `a message of more than ${maxMessageBytes} bytes`;
    let acknowledgements = 0;
    for (const line of lines) {
      if (!this.#rate.take()) return `more than ${this.#rate.perSecond} messages in a second`;
      const reading = read(line);
      if (typeof reading === 'string') return reading;
      if (reading.cmd === 'NODE_HANDLE_ACK') acknowledgements += 1;
      // Node asserts that a descriptor is on its way. A second one would be for a descriptor that Node sends after the first.
      if (acknowledgements > (this.#unacknowledged === undefined ? 0 : 1)) return 'an acknowledgement of nothing';
      const fault = reading.cmd === 'NODE_CLUSTER' ? this.#faultOf(reading) : undefined;
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #faultOf(message: Extract<v.InferOutput<typeof clusterMessage>, { cmd: 'NODE_CLUSTER' }>): string | undefined {
    if (message.act === 'close' && !this.#held.delete(message.key))
      return 'the close of a listener that it does not have';
    if (message.act !== 'queryServer') return undefined;
    if (!this.#rules.isPlanned(message)) return 'a listener that is not its own';
    const { address, port, addressType, fd, index } = message;
    const key = `${address}:${port}:${addressType}:${fd}:${index}`;
    // Node asserts that no worker has a listener twice.
    if (this.#held.has(key)) return 'a listener that it has';
    this.#held.add(key);
    if (Math.max(this.#held.size, this.#unacknowledged ?? 0) > this.#rules.maxListeners)
      return `more than ${this.#rules.maxListeners} listeners`;
    return undefined;
  }

  /** Messages that wait for the acknowledgement of a descriptor; undefined where none is awaited. */
  get #unacknowledged(): number | undefined {
    return this.#sender._handleQueue?.length;
  }
}

function read(line: string): v.InferOutput<typeof clusterMessage> | string {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return 'a message that is not JSON';
  }
  const reading = readReport(clusterMessage, message);
  return 'fault' in reading ? reading.fault : reading.report;
}
