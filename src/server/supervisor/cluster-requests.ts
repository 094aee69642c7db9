import { createHook } from 'node:async_hooks';
import type { Worker } from 'node:cluster';
import { StringDecoder } from 'node:string_decoder';
import * as v from 'valibot';
import { duplicate } from '../../kernel/descriptors.ts';
import { readDescriptor } from './channel.ts';
import { MessageRate } from './message-rate.ts';
import { readReport } from './reports.ts';

/** Maximum length of a message from node:cluster in a worker to the primary. All real ones are shorter. */
const maxMessageBytes = 4096;

/** Limit on unread answers to a worker, beyond what the kernel buffers. */
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

/** The messages of a worker's node:cluster that we use. Others could crash the primary. */
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

/** A listener that a worker's node:cluster requests from the primary. */
export type ListenerRequest = Pick<
  Extract<ClusterMessage, { act: 'queryServer' }>,
  'address' | 'port' | 'addressType' | 'fd' | 'flags' | 'index'
>;

/** What a worker may request from the primary. */
export interface ClusterRules {
  readonly isPlanned: (request: ListenerRequest) => boolean;
  /** Maximum number of listeners it can have at once. */
  readonly maxListeners: number;
  readonly monotonicMs: () => number;
}

/** Undocumented members of the handle of Node's own channel. */
interface ChannelHandle {
  readonly fd: number;
  onread: (bytes: ArrayBuffer | undefined) => void;
  readStop(): void;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
  /** A descriptor received with the bytes. */
  pendingHandle: { close(): void } | null | undefined;
}

/** What node:cluster in the primary calls, with its own message, and listens to. */
interface ClusterChild {
  readonly connected: boolean;
  send(message: object, ...more: unknown[]): boolean;
  emit(event: 'internalMessage', message: object): boolean;
  disconnect(): void;
  once(event: 'disconnect', listener: () => void): unknown;
  /** Messages to send after a descriptor that has not been acknowledged. */
  readonly _handleQueue?: readonly unknown[] | null;
}

/**
 * Forks a worker of node:cluster and guards its channel, because Node trusts all input, holds messages of any size in
 * memory, throws where nobody can catch it, and aborts on file descriptors of files. Input that is not a message of
 * node:cluster, or asks for something `rules` do not allow, is not passed on, nor is anything after it, and `failed` is
 * called.
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
  const handle = handles.find((each): each is ChannelHandle => 'pendingHandle' in each && 'writeQueueSize' in each);
  // Without a process there is no channel.
  if (handle === undefined && worker.process.pid !== undefined)
    throw new Error('the channel of node:cluster is not where it was');
  if (handle !== undefined) guard(handle, worker.process, rules, failed);
  return worker;
}

/** Passes valid messages on to node:cluster. */
function guard(handle: ChannelHandle, child: ClusterChild, rules: ClusterRules, failed: (fault: string) => void): void {
  const requests = new ClusterRequests(child, rules);
  let hasFailed = false;
  const fail = (fault: string): void => {
    if (hasFailed) return;
    hasFailed = true;
    failed(fault);
  };
  // A listener waiting to be written is closed when its worker goes, and libuv would then write it from freed memory.
  const checkUnread = (): void => {
    const mayHold = requests.isListenerOnItsWay ? 0 : maxUnreadBytes;
    if (!child.connected || handle.writeQueueSize <= mayHold) return;
    fail('nothing that it was told is read');
    // Drop pending data before anything is closed.
    child.disconnect();
  };
  const take = (bytes: Uint8Array): void => {
    if (hasFailed) return;
    const { messages, fault } = requests.read(bytes);
    // One tick each, as in Node itself.
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
  // Node's own socket accepts descriptors, and Node aborts on a descriptor of a file or a terminal.
  handle.readStop();
  const close = readDescriptor(copy, take, () => {
    if (child.connected) child.disconnect();
  });
  // A child left behind by a dead worker could continue in its name, and hold the copy.
  child.once('disconnect', close);
}

/** If the descriptor cannot be copied: reads Node's own channel, and fails a worker that sends a descriptor. */
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

/** The requests of one worker to the primary, as known to the primary. */
class ClusterRequests {
  readonly #child: ClusterChild;
  readonly #rules: ClusterRules;
  readonly #rate: MessageRate;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  /** The listeners that the worker has, or has requested. */
  readonly #held = new Set<string>();
  /** Requested listeners, by sequence number. */
  readonly #asked = new Map<number, string>();
  /** Listeners on their way to the worker, in the order it will acknowledge them, each with its key. */
  readonly #sent: (readonly [key: string, listener: string])[] = [];
  /** Listeners that the worker has, by the key from the primary, whose format varies between Node versions. */
  readonly #given = new Map<string, string>();

  constructor(child: ClusterChild, rules: ClusterRules) {
    this.#child = child;
    this.#rules = rules;
    // At startup a worker requests each listener, reports that it listens and acknowledges it, for all of them at once.
    this.#rate = new MessageRate(200 + 4 * rules.maxListeners, rules.monotonicMs);
    const send = child.send.bind(child);
    child.send = (message, ...more) => {
      this.#answered(message, more[0]);
      return send(message, ...more);
    };
  }

  /** The primary has opened a listener, or could not. */
  #answered(
    message: { readonly ack?: unknown; readonly errno?: unknown; readonly key?: unknown },
    sent: unknown,
  ): void {
    const { ack, errno, key } = message;
    if (typeof ack !== 'number' || typeof key !== 'string') return;
    const listener = this.#asked.get(ack);
    if (listener === undefined) return;
    this.#asked.delete(ack);
    // The primary forgets a listener it could not open, and the worker retries with another index.
    if (typeof errno === 'number' && errno !== 0) this.#held.delete(listener);
    else if (sent === null || sent === undefined) this.#given.set(key, listener);
    // The worker cannot close a listener that it has not received.
    else this.#sent.push([key, listener]);
  }

  /** Returns the messages in the next bytes up to the first fault, and that fault. Nothing may be read after it. */
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
      // Node asserts that a descriptor is on its way. A second acknowledgement would be for the next descriptor.
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
    // Node asserts that no worker has the same listener twice.
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

  /** Whether Node has sent a listener that is not yet acknowledged. */
  get isListenerOnItsWay(): boolean {
    return this.#unacknowledged !== undefined;
  }

  /** Number of messages waiting for the acknowledgement of a descriptor; undefined if none is awaited. */
  get #unacknowledged(): number | undefined {
    return this.#child._handleQueue?.length;
  }
}

/** Parses a line. Returns the message, or what is wrong with the line. */
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
