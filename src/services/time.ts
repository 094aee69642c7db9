import type { ServiceModule } from '../service.ts';

/** Seconds from 1900, the epoch of RFC 868, to 1970. */
const secondsTo1970 = 2_208_988_800;

export type TimeOptions = {
  readonly whenUnsynchronized: 'answer' | 'silent';
};

/**
 * RFC 868: seconds since 1900 in four bytes, modulo 2^32. Silent while the clock is not set, and if the option says so,
 * while it is not synchronized.
 */
export const time: ServiceModule<TimeOptions> = {
  name: 'time',
  summary: 'sends the time as four bytes',
  rfc: 868,
  port: 37,
  options: {
    whenUnsynchronized: {
      doc: 'What to do while the system clock is not synchronized with UTC. With `silent`, a TCP connection is closed without data (RFC 868) and a datagram is not answered.',
      format: ['answer', 'silent'],
      default: 'answer',
    },
  },
  create({ whenUnsynchronized }, context) {
    const mustBeSynchronized = whenUnsynchronized === 'silent';
    let cachedSecond = Number.NaN;
    let cachedWord = Buffer.alloc(0);

    function word(): Uint8Array | undefined {
      if (!context.clockIsSet() || (mustBeSynchronized && !context.clockIsSynchronized())) return undefined;
      const second = Math.floor(context.now().getTime() / 1000);
      if (second !== cachedSecond) {
        // A new buffer each second, because a transport may still hold the last one.
        cachedWord = Buffer.alloc(4);
        cachedWord.writeUInt32BE((second + secondsTo1970) >>> 0);
        cachedSecond = second;
      }
      return cachedWord;
    }

    return {
      stream: (client) => client.end(word()),
      datagram: (_request, limit) => (limit < 4 ? undefined : word()),
    };
  },
};
