import { firstDifference } from './first-difference.ts';

/** Payloads this large carry a header; smaller ones are told apart by their pattern. */
export const headerBytes = 14;
const nonceBytes = 8;
const sequenceBytes = 6;
const unguardedBytes = nonceBytes - sequenceBytes;

/** What an answer turned out to be. */
export type Recognised =
  | { readonly kind: 'right'; readonly sequence: number }
  /** `offset`: of the first byte that is wrong, missing or too much. `sequence`: where the header still tells. */
  | { readonly kind: 'corrupted'; readonly sequence: number | undefined; readonly offset: number };

/**
 * Makes the payloads of one run, all of one size, and recognises them when they come back. From 14 bytes on each begins
 * with the run's random nonce (8 bytes, the last six of them XORed with the sequence number, which they so guard) and
 * its sequence number (6, big-endian); a pattern of its own follows. Below, the pattern is all there is.
 */
export class EchoPayloads {
  readonly sizeBytes: number;
  readonly #nonce: Buffer;

  /** `random` gives numbers from 0 up to, but not including, 1. */
  constructor(sizeBytes: number, random: () => number) {
    this.sizeBytes = sizeBytes;
    this.#nonce = Buffer.from(Array.from({ length: nonceBytes }, () => Math.floor(random() * 256)));
  }

  /** The payload of a request. */
  make(sequence: number): Uint8Array {
    const payload = Buffer.allocUnsafe(this.sizeBytes);
    const start = sequence + (this.#nonce[0] ?? 0);
    // Past 256 bytes it does not merely repeat.
    for (let index = 0; index < payload.length; index++) payload[index] = (start + index + (index >>> 8)) & 0xff;
    if (this.#hasHeader) {
      payload.writeUIntBE(sequence, nonceBytes, sequenceBytes);
      for (const [index, byte] of this.#nonce.entries())
        payload[index] = index < unguardedBytes ? byte : byte ^ (payload[index + sequenceBytes] ?? 0);
    }
    return payload;
  }

  /**
   * Recognises a datagram. `sent` requests are out; `unanswered` are those without an answer that are worth the
   * question, the oldest first. Without a header an answer belongs to the first of them with these bytes, else it
   * repeats the last request that had them: among empty datagrams that is a guess.
   */
  recognise(answer: Uint8Array, sent: number, unanswered: Iterable<number>): Recognised {
    return this.#hasHeader ? this.#readHeader(answer, sent) : this.#guess(answer, sent, unanswered);
  }

  /** Compares an answer with the request that it must be the answer to, as on a stream. */
  compare(answer: Uint8Array, sequence: number): Recognised {
    const offset = firstDifference(this.make(sequence), answer);
    return offset === undefined ? { kind: 'right', sequence } : { kind: 'corrupted', sequence, offset };
  }

  get #hasHeader(): boolean {
    return this.sizeBytes >= headerBytes;
  }

  #readHeader(answer: Uint8Array, sent: number): Recognised {
    const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
    const strange = firstDifference(this.#nonce.subarray(0, unguardedBytes), bytes.subarray(0, unguardedBytes));
    if (strange !== undefined) return { kind: 'corrupted', sequence: undefined, offset: strange };
    if (bytes.length < headerBytes) return { kind: 'corrupted', sequence: undefined, offset: bytes.length };
    const sequence = bytes.readUIntBE(nonceBytes, sequenceBytes);
    if (sequence >= sent) return { kind: 'corrupted', sequence: undefined, offset: nonceBytes };
    const recognised = this.compare(answer, sequence);
    // A header that contradicts itself says nothing of its request.
    const isHeaderWrong = recognised.kind === 'corrupted' && recognised.offset < headerBytes;
    return isHeaderWrong ? { ...recognised, sequence: undefined } : recognised;
  }

  #guess(answer: Uint8Array, sent: number, unanswered: Iterable<number>): Recognised {
    let nearest: Recognised | undefined;
    for (const sequence of unanswered) {
      const recognised = this.compare(answer, sequence);
      if (recognised.kind === 'right') return recognised;
      nearest ??= { ...recognised, sequence: undefined };
    }
    // The pattern begins anew after 256 requests.
    for (let sequence = sent - 1; sequence >= Math.max(0, sent - 256); sequence--) {
      const recognised = this.compare(answer, sequence);
      if (recognised.kind === 'right') return recognised;
      nearest ??= { ...recognised, sequence: undefined };
    }
    return nearest ?? { kind: 'corrupted', sequence: undefined, offset: 0 };
  }
}
