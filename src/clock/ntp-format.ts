/** Seconds from 1900, the epoch of NTP, to 1970. */
const secondsTo1970 = 2_208_988_800;

/** A time in 64 bits: seconds, modulo 2^32, and their fraction in units of 2^-32 s (RFC 5905 section 6). */
export interface NtpTime {
  readonly seconds: number;
  readonly fraction: number;
}

/** What a test packet says of the clock of its sender (RFC 4656 section 4.1.2, RFC 8186 section 2.1). */
export interface ErrorEstimate {
  /** Whether something keeps the clock in step with UTC. */
  readonly isSynchronized: boolean;
  /** How the times in the packet are written. */
  readonly format: 'ntp' | 'ptp';
  readonly errorMs: number;
}

/** `us` is microseconds since 1970. */
export function ntpTime(us: number): NtpTime {
  return { seconds: secondsOf(us), fraction: fractionOf(us) };
}

function secondsOf(us: number): number {
  return (Math.floor(us / 1e6) + secondsTo1970) >>> 0;
}

function fractionOf(us: number): number {
  return Math.floor(((us - Math.floor(us / 1e6) * 1e6) / 1e6) * 2 ** 32);
}

/** Milliseconds from one time to another at most 68 years away. Seconds wrap in 2036. */
export function msBetween(earlier: NtpTime, later: NtpTime): number {
  return ((later.seconds - earlier.seconds) | 0) * 1000 + ((later.fraction - earlier.fraction) / 2 ** 32) * 1000;
}

/** `us` is microseconds since 1970. */
export function writeNtpTime(packet: Buffer, at: number, us: number): void {
  packet.writeUInt32BE(secondsOf(us), at);
  packet.writeUInt32BE(fractionOf(us), at + 4);
}

export function readNtpTime(packet: Buffer, at: number): NtpTime {
  return { seconds: packet.readUInt32BE(at), fraction: packet.readUInt32BE(at + 4) };
}

/** Reads a time in PTP's truncated format, whose second half is nanoseconds (RFC 8186 section 2.1). */
export function readPtpTime(packet: Buffer, at: number): NtpTime {
  return { seconds: packet.readUInt32BE(at), fraction: (packet.readUInt32BE(at + 4) / 1e9) * 2 ** 32 };
}

/**
 * The error estimate of RFC 4656 section 4.1.2: one bit for a synchronized clock, one zero bit for NTP's format, and
 * the error as multiplier (8 bits, never 0) × 2^(scale − 32) seconds, rounded up. `errorUs` is at most 2^31 seconds.
 */
export function errorEstimate(errorUs: number, isSynchronized: boolean): number {
  let multiplier = Math.max(1, Math.ceil((errorUs / 1e6) * 2 ** 32));
  let scale = 0;
  while (multiplier > 0xff) {
    multiplier = Math.ceil(multiplier / 2);
    scale += 1;
  }
  return (isSynchronized ? 0x8000 : 0) | (scale << 8) | multiplier;
}

/** The reverse of `errorEstimate`. */
export function readErrorEstimate(bits: number): ErrorEstimate {
  return {
    isSynchronized: (bits & 0x8000) !== 0,
    format: (bits & 0x4000) === 0 ? 'ntp' : 'ptp',
    errorMs: (bits & 0xff) * 2 ** (((bits >>> 8) & 0x3f) - 32) * 1000,
  };
}
