import { createHook } from 'node:async_hooks';
import type { Worker } from 'node:cluster';
import { StringDecoder } from 'node:string_decoder';
import * as v from 'valibot';
import { duplicate } from '../../kernel/descriptors.ts';
import { readDescriptor } from './channel.ts';
import { MessageRate } from './message-rate.ts';
import { readReport } from './reports.ts';

/** What node:cluster in a worker says to the primary; all of it is shorter. */
const maxMessageBytes = 4096;

/** Of the answers to a worker, beyond what the kernel holds for it. */
const maxUnreadBytes = 64 * 1024;

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

type ClusterMessage = v.InferOutput<typeof clusterMessage>;

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
  readonly fd: number;
  onread: (bytes: ArrayBuffer | undefined) => void;
  readStop(): void;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
  /** A descriptor that came with the bytes. */
  pendingHandle: { close(): void } | null | undefined;
}

/** What node:cluster in the primary calls, with a message of its own, and what it listens to. */
interface ClusterChild {
  readonly connected: boolean;
  send(message: object, ...more: unknown[]): boolean;
  emit(event: 'internalMessage', message: object): boolean;
  disconnect(): void;
  once(event: 'disconnect', listener: () => void): unknown;
  /** Where a descriptor was sent and is not acknowledged: what is to be sent after it. */
  readonly _handleQueue?: readonly unknown[] | null;
}

/**
 * Forks a worker of node:cluster and stands between its channel and Node, which believes all that comes, holds a
 * message of any size in memory, throws at some where nobody can catch it, and aborts at descriptors of files. What is
 * not a message of node:cluster, or asks for what `rules` do not allow, is not passed on, nor is anything after it;
 * `failed` is told.
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
  if (handle !== undefined) guard(handle, worker.process, rules, failed);
  return worker;
}

/** Passes on to node:cluster what is found right. */
function guard(handle: ChannelHandle, child: ClusterChild, rules: ClusterRules, failed: (fault: string) => void): void {
  const requests = new ClusterRequests(child, rules);
  let hasFailed = false;
  const fail = (fault: string): void => {
    if (hasFailed) return;
    hasFailed = true;
    failed(fault);
  };
  // A listener that waits to be written is closed when its worker goes: libuv would write it from memory that is freed.
  const checkUnread = (): void => {
    const mayHold = requests.isListenerOnItsWay ? 0 : maxUnreadBytes;
    if (!child.connected || handle.writeQueueSize <= mayHold) return;
    fail('nothing that it was told is read');
    // Drops what waits, before anything is closed.
    child.disconnect();
  };
  const take = (bytes: Uint8Array): void => {
    if (hasFailed) return;
    const { messages, fault } = requests.read(bytes);
    // As Node itself does.
    for (const message of messages)
      process.nextTick(() => {
        child.emit('internalMessage', message);
        checkUnread();
      });
    if (fault !== undefined) fail(fault);
  };
  const copy = duplicate(handle.fd);
  if (copy === undefined) {
    takeFrom(handle, take, fail);
    return;
  }
  // Node's own socket takes descriptors, and at that of a file or a terminal Node aborts.
  handle.readStop();
  const close = readDescriptor(copy, take, () => {
    if (child.connected) child.disconnect();
  });
  // A child that a dead worker has left behind could go on in its name, and hold the copy.
  child.once('disconnect', close);
}

/**
 * Where a descriptor cannot be copied: bytes are taken from Node's own channel, and a worker that sends a descriptor
 * fails.
 */
function takeFrom(handle: ChannelHandle, take: (bytes: Uint8Array) => void, fail: (fault: string) => void): void {
  const onread = handle.onread.bind(handle);
  handle.onread = (bytes) => {
    if (handle.pendingHandle !== null && handle.pendingHandle !== undefined) {
      handle.pendingHandle.close();
      handle.pendingHandle = null;
      fail('a descriptor');
    }
    if (bytes === undefined) onread(bytes);
    else take(new Uint8Array(bytes));
  };
}

/** What one worker has asked the primary for, as the primary knows it. */
class ClusterRequests {
  readonly #child: ClusterChild;
  readonly #rules: ClusterRules;
  readonly #rate: MessageRate;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  /** The listeners that it has, or has asked for. */
  readonly #held = new Set<string>();
  /** Those that it has asked for, by the number of the request. */
  readonly #asked = new Map<number, string>();
  /** Those on their way to it, in the order in which it will acknowledge them, each with its key. */
  readonly #sent: (readonly [key: string, listener: string])[] = [];
  /** Those that it has, by the key that the primary gave them; each version of Node makes it of something else. */
  readonly #given = new Map<string, string>();

  constructor(child: ClusterChild, rules: ClusterRules) {
    this.#child = child;
    this.#rules = rules;
    // It asks for each of its listeners, tells that it listens and acknowledges, all of them at once when it starts.
    this.#rate = new MessageRate(200 + 4 * rules.maxListeners, rules.monotonicMs);
    const send = child.send.bind(child);
    child.send = (message, ...more) => {
      this.#answered(message, more[0]);
      return send(message, ...more);
    };
  }

  /** The primary answers: it has opened a listener, or could not. */
  #answered(
    message: { readonly ack?: unknown; readonly errno?: unknown; readonly key?: unknown },
    sent: unknown,
  ): void {
    const { ack, errno, key } = message;
    if (typeof ack !== 'number' || typeof key !== 'string') return;
    const listener = this.#asked.get(ack);
    if (listener === undefined) return;
    this.#asked.delete(ack);
    // The primary forgets what it could not open, and the worker asks again under another index.
    if (typeof errno === 'number' && errno !== 0) this.#held.delete(listener);
    else if (sent === null || sent === undefined) this.#given.set(key, listener);
    // What it has not received it cannot close.
    else this.#sent.push([key, listener]);
  }

  /**
   * The messages in what comes next, up to the first that is wrong, and what is wrong with that. Nothing may be read
   * after a fault.
   */
  read(bytes: Uint8Array): { readonly messages: readonly ClusterMessage[]; readonly fault?: string } {
    const lines = (this.#rest + this.#decoder.write(Buffer.from(bytes))).split('\n');
    this.#rest = lines.pop() ?? '';
    const messages: ClusterMessage[] = [];
    let acknowledgements = 0;
    for (const line of lines) {
      if (!this.#rate.take()) return { messages, fault: `more than ${this.#rate.perSecond} messages in a second` };
      const message = parse(line);
      if (typeof message === 'string') return { messages, fault: message };
      if (message.cmd === 'NODE_HANDLE_ACK') acknowledgements += 1;
      // Node asserts that a descriptor is on its way. A second one would be for a descriptor that Node sends after the
      // first.
      if (acknowledgements > (this.#unacknowledged === undefined ? 0 : 1))
        return { messages, fault: 'an acknowledgement of nothing' };
      if (message.cmd === 'NODE_HANDLE_ACK') this.#acknowledged();
      const fault = message.cmd === 'NODE_CLUSTER' ? this.#faultOf(message) : undefined;
      if (fault !== undefined) return { messages, fault };
      messages.push(message);
    }
    if (this.#rest.length > maxMessageBytes)
      return { messages, fault: `a message of more than ${maxMessageBytes} bytes` };
    return { messages };
  }

  #faultOf(message: Extract<ClusterMessage, { cmd: 'NODE_CLUSTER' }>): string | undefined {
    if (message.act === 'close') return this.#close(message.key);
    if (message.act !== 'queryServer') return undefined;
    if (!this.#rules.isPlanned(message)) return 'a listener that is not its own';
    const { address, port, addressType, fd, index, seq } = message;
    const listener = [address, port, addressType, fd, index].join(' ');
    // Node asserts that no worker has a listener twice.
    if (this.#held.has(listener)) return 'a listener that it has';
    if (this.#asked.has(seq)) return 'a request under the number of another';
    this.#held.add(listener);
    this.#asked.set(seq, listener);
    if (Math.max(this.#held.size, this.#unacknowledged ?? 0) > this.#rules.maxListeners)
      return `more than ${this.#rules.maxListeners} listeners`;
    return undefined;
  }

  #acknowledged(): void {
    const [key, listener] = this.#sent.shift() ?? [];
    if (key !== undefined && listener !== undefined) this.#given.set(key, listener);
  }

  #close(key: string): string | undefined {
    const listener = this.#given.get(key);
    if (listener === undefined) return 'the close of a listener that it does not have';
    this.#given.delete(key);
    this.#held.delete(listener);
    return undefined;
  }

  /** Whether Node has sent a listener, and no acknowledgement has come. */
  get isListenerOnItsWay(): boolean {
    return this.#unacknowledged !== undefined;
  }

  /** Messages that wait for the acknowledgement of a descriptor; undefined where none is awaited. */
  get #unacknowledged(): number | undefined {
    return this.#child._handleQueue?.length;
  }
}

/** A message, or what is wrong with the line. */
function parse(line: string): ClusterMessage | string {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return 'a message that is not JSON';
  }
  const reading = readReport(clusterMessage, message);
  return 'fault' in reading ? reading.fault : reading.report;
}
