import type { Clock } from '../../clock/clock.ts';
import type { PathControls } from '../dial/path-controls.ts';
import type { HostAddress } from '../dial/resolve-host.ts';
import type { SharedPorts } from '../dial/shared-ports.ts';
import { describeBytes } from './bytes.ts';

/** Services that have checks, in order of their ports. */
export const checkedServices = [
  'tcpmux',
  'echo',
  'discard',
  'systat',
  'daytime',
  'qotd',
  'chargen',
  'time',
  'finger',
  'ident',
  'stamp',
] as const;

export type CheckedService = (typeof checkedServices)[number];

const rfcs: Readonly<Record<CheckedService, Check['basis']>> = {
  tcpmux: 'RFC 1078',
  echo: 'RFC 862',
  discard: 'RFC 863',
  systat: 'RFC 866',
  daytime: 'RFC 867',
  qotd: 'RFC 865',
  chargen: 'RFC 864',
  time: 'RFC 868',
  finger: 'RFC 1288',
  ident: 'RFC 1413',
  stamp: 'RFC 8762',
};

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

/** A check without what it shares with its neighbors. The basis is the RFC of the service unless it is given. */
export type Fact = Pick<Check, 'fact' | 'run'> & { readonly name: string; readonly basis?: Check['basis'] };

/** Makes the checks of a service over one transport. */
export function checksOf(service: CheckedService, transport: Transport, facts: readonly Fact[]): readonly Check[] {
  return facts.map(({ name, basis = rfcs[service], fact, run }) => {
    return { id: `${service}.${transport}.${name}`, service, transport, basis, fact, run };
  });
}

/** The environment of a check, whose service has been reached. */
export interface CheckContext extends RunContext {
  /** The address that answered. */
  readonly address: HostAddress;
  readonly port: number;
}

/** What all checks of a run share. */
export interface RunContext {
  /** Milliseconds for each connection and each answer. */
  readonly timeoutMs: number;
  /** Milliseconds without data after which a peer counts as silent. */
  readonly quietMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Services are checked at the same time, from the same dangerous ports. */
  readonly sharedPorts: SharedPorts;
  /** Without a source port. */
  readonly pathControls?: PathControls | undefined;
  /** Source ports that a server must not answer. */
  readonly dangerousPorts: {
    /** Ports below 1024, where services live. */
    readonly low: readonly number[];
    /** Higher ports of services that answer anything, and the server's own UDP ports. */
    readonly reflectors: readonly number[];
  };
}

/** Thrown when the fact does not hold. */
export class Fault extends Error {
  override readonly name = 'Fault';
  /** The peer's bytes that show it. */
  readonly bytes: Uint8Array | undefined;

  /** `seen`: what was observed instead, in words or as the bytes themselves. */
  constructor(expected: string, seen: string | Uint8Array, bytes?: Uint8Array) {
    super(`expected ${expected}; saw ${typeof seen === 'string' ? seen : describeBytes(seen)}`);
    this.bytes = typeof seen === 'string' ? bytes : seen;
  }
}

/** Thrown when the fact cannot be checked from here. The message says why. */
export class Skip extends Error {
  override readonly name = 'Skip';
}
