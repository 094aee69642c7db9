import { drawDelayMs, drawTimeMs, flipBit, happens, type Random } from './draw.ts';
import type { DatagramFault, FaultRules } from './fault-rules.ts';

/** Decides what happens to the replies of a UDP listener, and counts it. */
export class DatagramFaults {
  readonly #rules: FaultRules;
  readonly #counts: Record<DatagramFault, number>;
  readonly #random: Random;

  constructor(rules: FaultRules, counts: Record<DatagramFault, number>, random: Random) {
    this.#rules = rules;
    this.#counts = counts;
    this.#random = random;
  }

  /** Returns what leaves in place of these replies. Nothing may change the bytes of either afterwards. */
  spoil(replies: readonly Uint8Array[]): readonly Uint8Array[] {
    const spoiled: Uint8Array[] = [];
    for (const reply of replies) {
      const copies = this.#drawCopies();
      for (let copy = 0; copy < copies; copy += 1) spoiled.push(this.#spoilOne(reply));
    }
    return spoiled;
  }

  /** Draws how long a reply is delayed, in milliseconds. 0: it leaves at once. */
  drawDelayMs(): number {
    const { delay, reorder } = this.#rules;
    const delayMs = drawDelayMs(delay, this.#random);
    if (delayMs > 0) this.#counts.delay += 1;
    const laterMs = drawTimeMs(reorder, this.#random);
    if (laterMs > 0) this.#counts.reorder += 1;
    return delayMs + laterMs;
  }

  /** Each copy is then a datagram like any other. */
  #drawCopies(): number {
    const { loss, duplicate, answers } = this.#rules;
    if (happens(loss, this.#random)) {
      this.#counts.loss += 1;
      return 0;
    }
    let copies = 1;
    if (answers.count !== null && happens(answers.probability, this.#random)) {
      this.#counts.answers += 1;
      copies = answers.count;
    }
    if (happens(duplicate, this.#random)) {
      this.#counts.duplicate += 1;
      copies += 1;
    }
    return copies;
  }

  #spoilOne(reply: Uint8Array): Uint8Array {
    const { truncate, corrupt } = this.#rules;
    let bytes = reply;
    if (truncate.bytes !== null && happens(truncate.probability, this.#random) && bytes.length > truncate.bytes) {
      this.#counts.truncate += 1;
      bytes = bytes.subarray(0, truncate.bytes);
    }
    if (happens(corrupt, this.#random) && bytes.length > 0) {
      this.#counts.corrupt += 1;
      bytes = flipBit(bytes, this.#random);
    }
    return bytes;
  }
}
