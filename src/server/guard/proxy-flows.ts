import type { IpAddress } from '../../address/ip-address.ts';
import type { SourceHash } from './source-hash.ts';

/** An address and a port. */
export interface HostPort {
  readonly ip: IpAddress;
  readonly port: number;
}

const rowsOfBucket = 4;
/** With four rows each, there is a row for every port of a proxy. One that is alone never lacks room. */
const buckets = 16_384;
const rows = rowsOfBucket * buckets;

/** The address of the proxy and its zone, then those of the client. */
const wordsOfRow = 10;
const zoneWord = 4;
const clientWord = 5;

/** Bytes of a table of flows. */
export const flowBytes: number = rows * (Float64Array.BYTES_PER_ELEMENT + wordsOfRow * 4 + 2 + 2);

/** Where flows are kept. Processes may share it, as long as one of them uses it at a time. */
export interface FlowMemory {
  readonly memory: ArrayBuffer;
  /** Of the `flowBytes` for the flows, which are 0 at first: a multiple of 8. */
  readonly offset: number;
  /** The same in all processes. */
  readonly hash: SourceHash;
  /** Monotonic milliseconds, the same in all processes. */
  readonly nowMs: () => number;
}

/**
 * The clients that proxies have named for their flows. A flow is all that comes from one port of a proxy. It is
 * forgotten when nothing has come for the idle timeout.
 *
 * Memory is constant, 3.25 MiB. The ports of a proxy are spread evenly over buckets of four rows, from a bucket on that
 * a seeded hash chooses. In a full bucket, the proxy with the most flows there loses the oldest of them. So one proxy
 * can take at most half of the room from another.
 */
export class ProxyFlows {
  readonly #idleTimeoutMs: number;
  readonly #hash: SourceHash;
  readonly #nowMs: () => number;
  /** When the row was last used. */
  readonly #usedAtMs: Float64Array;
  readonly #words: Uint32Array;
  /** Of the proxy; 0 marks a free row. */
  readonly #ports: Uint16Array;
  readonly #clientPorts: Uint16Array;

  constructor(idleTimeoutMs: number, { memory, offset, hash, nowMs }: FlowMemory) {
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#hash = hash;
    this.#nowMs = nowMs;
    this.#usedAtMs = new Float64Array(memory, offset, rows);
    this.#words = new Uint32Array(memory, offset + this.#usedAtMs.byteLength, rows * wordsOfRow);
    const ports = new Uint16Array(memory, offset + flowBytes - 4 * rows, 2 * rows);
    this.#ports = ports.subarray(0, rows);
    this.#clientPorts = ports.subarray(rows);
  }

  /** Returns the client that was named last for a flow. */
  find(proxy: HostPort): HostPort | undefined {
    const row = this.#rowOf(proxy);
    const nowMs = this.#nowMs();
    if (row === undefined || !this.#isInUse(row, nowMs)) return undefined;
    this.#usedAtMs[row] = nowMs;
    return { ip: this.#addressAt(row * wordsOfRow + clientWord), port: this.#clientPorts[row]! };
  }

  /** Remembers the client of a flow, in place of an earlier one. Nothing is remembered for port 0 of a proxy. */
  set(proxy: HostPort, client: HostPort): void {
    const nowMs = this.#nowMs();
    const row = this.#rowOf(proxy) ?? this.#rowToTake(proxy, nowMs);
    // Free until it is complete: this process can be killed at any time, and then another one reads the memory.
    this.#ports[row] = 0;
    this.#usedAtMs[row] = nowMs;
    this.#clientPorts[row] = client.port;
    const at = row * wordsOfRow;
    this.#setAddress(at, proxy.ip);
    this.#setAddress(at + clientWord, client.ip);
    this.#ports[row] = proxy.port;
  }

  /** The first row of the bucket. */
  #bucketOf({ ip, port }: HostPort): number {
    const first = this.#hash.of(ip.w0, (ip.w1 ^ (ip.zone ?? 0)) >>> 0, ip.w2, ip.w3);
    return ((first + port) & (buckets - 1)) * rowsOfBucket;
  }

  #rowOf(proxy: HostPort): number | undefined {
    const bucket = this.#bucketOf(proxy);
    for (let row = bucket; row < bucket + rowsOfBucket; row += 1)
      if (proxy.port !== 0 && this.#ports[row] === proxy.port && this.#isOf(row, proxy.ip)) return row;
    return undefined;
  }

  /** A row that is not in use, or else the oldest of the proxy that has the most here, with the newcomer. */
  #rowToTake(newcomer: HostPort, nowMs: number): number {
    const bucket = this.#bucketOf(newcomer);
    let taken = bucket;
    let most = 0;
    for (let row = bucket; row < bucket + rowsOfBucket; row += 1) {
      if (!this.#isInUse(row, nowMs)) return row;
      const flows = this.#countLike(row, bucket) + (this.#isOf(row, newcomer.ip) ? 1 : 0);
      if (flows < most || (flows === most && this.#usedAtMs[row]! >= this.#usedAtMs[taken]!)) continue;
      most = flows;
      taken = row;
    }
    return taken;
  }

  #isInUse(row: number, nowMs: number): boolean {
    // A time in the future, which a hostile process has written, must not keep the row for ever.
    return this.#ports[row] !== 0 && Math.abs(nowMs - this.#usedAtMs[row]!) <= this.#idleTimeoutMs;
  }

  /** How many rows of a full bucket are of the same proxy as one of them. */
  #countLike(row: number, bucket: number): number {
    const proxy = this.#addressAt(row * wordsOfRow);
    let count = 0;
    for (let other = bucket; other < bucket + rowsOfBucket; other += 1) if (this.#isOf(other, proxy)) count += 1;
    return count;
  }

  #isOf(row: number, { w0, w1, w2, w3, zone = 0 }: IpAddress): boolean {
    const at = row * wordsOfRow;
    return (
      this.#words[at + 3] === w3 &&
      this.#words[at + 2] === w2 &&
      this.#words[at + 1] === w1 &&
      this.#words[at] === w0 &&
      this.#words[at + zoneWord] === zone
    );
  }

  #addressAt(at: number): IpAddress {
    const [w0, w1, w2, w3] = [this.#words[at]!, this.#words[at + 1]!, this.#words[at + 2]!, this.#words[at + 3]!];
    const zone = this.#words[at + zoneWord]!;
    return zone === 0 ? { w0, w1, w2, w3 } : { w0, w1, w2, w3, zone };
  }

  #setAddress(at: number, { w0, w1, w2, w3, zone = 0 }: IpAddress): void {
    this.#words[at] = w0;
    this.#words[at + 1] = w1;
    this.#words[at + 2] = w2;
    this.#words[at + 3] = w3;
    this.#words[at + zoneWord] = zone;
  }
}
