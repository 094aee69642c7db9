import { firstDifference } from '../first-difference.ts';

/** Payloads of at least this size carry a header. Smaller ones are identified by their pattern. */
export const headerBytes = 14;
const nonceBytes = 8;
const sequenceBytes = 6;
const unguardedBytes = nonceBytes - sequenceBytes;

/** The verdict on an answer. */
export type Recognized =
  | { readonly kind: 'right'; readonly sequence: number }
  /** `offset` of the first wrong, missing or excess byte. `sequence` is set if the header is still readable. */
  | { readonly kind: 'corrupted'; readonly sequence: number | undefined; readonly offset: number };

/**
 * Generates the equally sized payloads of a run and recognizes them in answers. Payloads of 14 bytes or more start with
 * the run's random nonce (8 bytes, the last six XORed with the sequence number to protect it) and the sequence number
 * (6 bytes, big-endian), followed by a pattern of the request. Smaller payloads are only the pattern.
 */
export class EchoPayloads {
  readonly sizeBytes: number;
  readonly #nonce: Buffer;

  /** `random` returns numbers from 0 up to, but not including, 1. */
  constructor(sizeBytes: number, random: () => number) {
    this.sizeBytes = sizeBytes;
    this.#nonce = Buffer.from(Array.from({ length: nonceBytes }, () => Math.floor(random() * 256)));
  }

  make(sequence: number): Buffer {
    const payload = Buffer.allocUnsafe(this.sizeBytes);
    const start = sequence + (this.#nonce[0] ?? 0);
    // Shift the pattern every 256 bytes, so that it does not simply repeat.
    for (let index = 0; index < payload.length; index++) payload[index] = (start + index + (index >>> 8)) & 0xff;
    if (this.#hasHeader) {
      payload.writeUIntBE(sequence, nonceBytes, sequenceBytes);
      for (const [index, byte] of this.#nonce.entries())
        payload[index] = index < unguardedBytes ? byte : byte ^ (payload[index + sequenceBytes] ?? 0);
    }
    return payload;
  }

  /**
   * Identifies a datagram. `sent` is the number of requests sent. `unanswered` lists those still worth considering,
   * oldest first. Without a header, an answer matches the first of them with these bytes, otherwise it duplicates the
   * last request that had them. Among empty datagrams, this is a guess.
   */
  recognize(answer: Uint8Array, sent: number, unanswered: Iterable<number>): Recognized {
    return this.#hasHeader ? this.#readHeader(answer, sent) : this.#guess(answer, sent, unanswered);
  }

  /** Compares an answer with the request it must belong to, as on a stream. */
  compare(answer: Uint8Array, sequence: number): Recognized {
    const offset = firstDifference(this.make(sequence), answer);
    return offset === undefined ? { kind: 'right', sequence } : { kind: 'corrupted', sequence, offset };
  }

  get #hasHeader(): boolean {
    return this.sizeBytes >= headerBytes;
  }

  #readHeader(answer: Uint8Array, sent: number): Recognized {
    const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
    const strange = firstDifference(this.#nonce.subarray(0, unguardedBytes), bytes.subarray(0, unguardedBytes));
    if (strange !== undefined) return { kind: 'corrupted', sequence: undefined, offset: strange };
    if (bytes.length < headerBytes) return { kind: 'corrupted', sequence: undefined, offset: bytes.length };
    const sequence = bytes.readUIntBE(nonceBytes, sequenceBytes);
    if (sequence >= sent) return { kind: 'corrupted', sequence: undefined, offset: nonceBytes };
    const recognized = this.compare(answer, sequence);
    // A header that fails its check does not identify a request.
    const isHeaderWrong = recognized.kind === 'corrupted' && recognized.offset < headerBytes;
    return isHeaderWrong ? { ...recognized, sequence: undefined } : recognized;
  }

  #guess(answer: Uint8Array, sent: number, unanswered: Iterable<number>): Recognized {
    let nearest: Recognized | undefined;
    for (const sequence of unanswered) {
      const recognized = this.compare(answer, sequence);
      if (recognized.kind === 'right') return recognized;
      nearest ??= { ...recognized, sequence: undefined };
    }
    // The pattern repeats after 256 requests.
    for (let sequence = sent - 1; sequence >= Math.max(0, sent - 256); sequence--) {
      const recognized = this.compare(answer, sequence);
      if (recognized.kind === 'right') return recognized;
      nearest ??= { ...recognized, sequence: undefined };
    }
    return nearest ?? { kind: 'corrupted', sequence: undefined, offset: 0 };
  }
}
