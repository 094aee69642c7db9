import { drawCut, drawDelayMs, drawTimeMs, flipBit, happens, type Random } from './draw.ts';
import type { CutFault, FaultRules, StreamFault } from './fault-rules.ts';

/** Decides what happens to one connection, when it is accepted, and to each chunk of output. */
export class StreamFaults {
  readonly #rules: FaultRules;
  readonly #counts: Record<StreamFault, number>;
  readonly #random: Random;
  readonly resetsOnAccept: boolean;
  /** The client is accepted, but not served yet. 0 if it is served at once, like the next. */
  readonly acceptDelayMs: number;
  readonly firstByteDelayMs: number;
  /** Undefined: as fast as the client takes it. */
  readonly bytesPerSecond: number | undefined;
  readonly closeAfter: CutFault | undefined;
  readonly resetAfter: CutFault | undefined;
  /** Our FIN follows the first chunk of output. */
  readonly halfClosesEarly: boolean;
  /** Whatever the client sends is taken, and nothing is ever answered. */
  readonly isBlackhole: boolean;
  readonly stopsReading: boolean;

  constructor(rules: FaultRules, counts: Record<StreamFault, number>, random: Random) {
    const { rate } = rules;
    this.#rules = rules;
    this.#counts = counts;
    this.#random = random;
    this.resetsOnAccept = happens(rules.resetOnAccept, random);
    this.acceptDelayMs = drawTimeMs(rules.acceptDelay, random);
    this.firstByteDelayMs = drawTimeMs(rules.firstByteDelay, random);
    this.bytesPerSecond =
      rate.bytesPerSecond !== null && happens(rate.probability, random) ? rate.bytesPerSecond : undefined;
    this.closeAfter = drawCut(rules.closeAfter, random);
    this.resetAfter = drawCut(rules.resetAfter, random);
    this.halfClosesEarly = happens(rules.halfCloseEarly, random);
    this.isBlackhole = happens(rules.blackhole, random);
    this.stopsReading = happens(rules.stopReading, random);
  }

  /** Counts a fault that acts. `drawDelayMs` and `spoil` count by themselves. */
  note(fault: StreamFault): void {
    this.#counts[fault] += 1;
  }

  /** Draws how long a chunk is delayed, in milliseconds. */
  drawDelayMs(): number {
    const delayMs = drawDelayMs(this.#rules.delay, this.#random);
    if (delayMs > 0) this.note('delay');
    return delayMs;
  }

  /** Returns what leaves in place of a chunk. It has the same length. */
  spoil(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0 || !happens(this.#rules.corrupt, this.#random)) return chunk;
    this.note('corrupt');
    return flipBit(chunk, this.#random);
  }
}
