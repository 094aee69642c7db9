import type { Clock } from '../../clock/clock.ts';
import type { HostAddress } from '../dial/resolve-host.ts';

/** The services that there are checks for, in the order of their ports. */
export const checkedServices = ['echo', 'discard', 'systat', 'daytime', 'qotd', 'chargen', 'time'] as const;

export type CheckedService = (typeof checkedServices)[number];

export type Transport = 'tcp' | 'udp';

/** One fact that must hold for a service over one transport. */
export interface Check {
  /** `time.tcp.four-bytes`: service, transport, and a word for the fact. */
  readonly id: string;
  readonly service: CheckedService;
  readonly transport: Transport;
  /** Where the fact stands: an RFC, or `safety` for what keeps a server from harm and from doing harm. */
  readonly basis: `RFC ${number}` | 'safety';
  /** The fact in one line. */
  readonly fact: string;
  /**
   * Resolves where the fact holds, with what is worth saying of it. Throws `Fault` where it does not, and `Skip` where
   * it cannot be told.
   */
  run(context: CheckContext): Promise<string | void>;
}

/** What a check runs in: a service that has been reached, and patience. */
export interface CheckContext {
  /** The address that answered. */
  readonly address: HostAddress;
  readonly port: number;
  /** Milliseconds for each connection and each answer. */
  readonly timeoutMs: number;
  /** Milliseconds without a byte after which a peer counts as silent. */
  readonly quietMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The ports that datagrams must not be answered to. */
  readonly dangerousPorts: DangerousPorts;
  /** Runs tasks of all checks one after the other: those that need the same local ports. */
  alone<Value>(task: () => Promise<Value>): Promise<Value>;
}

export interface DangerousPorts {
  /** Below 1024, where services live. */
  readonly low: readonly number[];
  /** Services above that answer whatever comes, and the UDP ports of the server itself. */
  readonly reflectors: readonly number[];
}

/** The fact does not hold. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly expected: string;
  /** What was seen instead, in words. */
  readonly seen: string;
  /** The bytes of the peer that show it. */
  readonly bytes: Uint8Array | undefined;

  constructor(expected: string, seen: string, bytes?: Uint8Array) {
    super(`expected ${expected}; saw ${seen}`);
    this.expected = expected;
    this.seen = seen;
    this.bytes = bytes;
  }
}

/** Whether the fact holds cannot be told from here; the message says why. */
export class Skip extends Error {
  override readonly name = 'Skip';
}
