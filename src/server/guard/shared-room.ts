/** For how long what a worker has noted counts. One that is silent for longer hangs, or is gone. */
const validMs = 1000;

/** How often each worker must note its numbers. */
export const roomPeriodMs = 250;

/** For each worker its two numbers, and when they were noted. */
export const roomElements = 3;

/** Newcomers whose source is known, and those who come through a proxy that has yet to tell it. */
export type Newcomer = 'direct' | 'proxied';

const elementOf = { direct: 0, proxied: 1 } as const;
const timeElement = 2;

/**
 * Which of several processes can make the fairest room in a full service: the one that holds connections of the largest
 * source, or of the proxy with the most that wait for a header. Each notes how many connections that one has. A process
 * that holds much smaller ones only leaves newcomers to the others. Otherwise sources whose connections are all in one
 * process could lock out newcomers of the others.
 */
export class SharedRoom {
  readonly #all: Float64Array;
  readonly #own: number;
  readonly #nowMs: () => number;

  /** `all` is shared memory, `roomElements` for each process, 0 at first. `nowMs` must be the same in all. */
  constructor(all: Float64Array, slot: number, nowMs: () => number) {
    this.#all = all;
    this.#own = slot * roomElements;
    this.#nowMs = nowMs;
  }

  /** Notes the most connections of one that would make room for each kind of newcomer, 0 if nobody would. */
  note(direct: number, proxied: number): void {
    this.#all[this.#own + elementOf.direct] = direct;
    this.#all[this.#own + elementOf.proxied] = proxied;
    this.#all[this.#own + timeElement] = this.#nowMs();
  }

  /**
   * Whether another process can make room when this one cannot, or has noted more than twice as many connections. With
   * a smaller difference, processes that make room in turn would all wait for each other, and newcomers for them.
   */
  isElsewhere(newcomer: Newcomer, connections: number): boolean {
    const least = connections < 2 ? 1 : 2 * connections;
    const sinceMs = this.#nowMs() - validMs;
    for (let index = 0; index < this.#all.length; index += roomElements)
      if (index !== this.#own && this.#all[index + elementOf[newcomer]]! > least)
        if (this.#all[index + timeElement]! > sinceMs) return true;
    return false;
  }
}
