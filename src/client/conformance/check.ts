import type { Clock } from '../../clock/clock.ts';
import type { HostAddress } from '../dial/resolve-host.ts';

/** Services that have checks, in order of their ports. */
export const checkedServices = ['echo', 'discard', 'systat', 'daytime', 'qotd', 'chargen', 'time'] as const;

export type CheckedService = (typeof checkedServices)[number];

export type Transport = 'tcp' | 'udp';

/** One fact that must hold for a service over one transport. */
export interface Check {
  /** `time.tcp.four-bytes`: service, transport, and a short name for the fact. */
  readonly id: string;
  readonly service: CheckedService;
  readonly transport: Transport;
  /** The source of the fact: an RFC, or `safety` for protection of the server and of others. */
  readonly basis: `RFC ${number}` | 'safety';
  readonly fact: string;
  /** Resolves if the fact holds, optionally with a detail. Throws `Fault` if not, and `Skip` if it cannot tell. */
  run(context: CheckContext): Promise<string | void>;
}

/** The environment of a check, whose service has been reached. */
export interface CheckContext {
  /** The address that answered. */
  readonly address: HostAddress;
  readonly port: number;
  /** Milliseconds for each connection and each answer. */
  readonly timeoutMs: number;
  /** Milliseconds without data after which a peer counts as silent. */
  readonly quietMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Source ports that a server must not answer. */
  readonly dangerousPorts: DangerousPorts;
  /** Serializes tasks across all checks, for those that need the same local ports. */
  alone<Value>(task: () => Promise<Value>): Promise<Value>;
}

export interface DangerousPorts {
  /** Ports below 1024, where services live. */
  readonly low: readonly number[];
  /** Higher ports of services that answer anything, and the server's own UDP ports. */
  readonly reflectors: readonly number[];
}

/** Thrown when the fact does not hold. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly expected: string;
  /** What was observed instead, in words. */
  readonly seen: string;
  /** The peer's bytes that show it. */
  readonly bytes: Uint8Array | undefined;

  constructor(expected: string, seen: string, bytes?: Uint8Array) {
    super(`expected ${expected}; saw ${seen}`);
    this.expected = expected;
    this.seen = seen;
    this.bytes = bytes;
  }
}

/** Thrown when the fact cannot be checked from here. The message says why. */
export class Skip extends Error {
  override readonly name = 'Skip';
}
