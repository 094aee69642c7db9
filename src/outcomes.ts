import { type ExitCode, exitCodes } from './exit-codes.ts';

/**
 * How a run of a client can end, and the exit code of one that ends with a result. An error has a code of its own
 * (`errors.ts`), which differs for a `timeout` while resolving or connecting (2), and for an `invalid` address or mask
 * (1).
 */
export const outcomes = {
  /** Done, and everything was as it should be. */
  ok: exitCodes.stopped,
  /** The peer answered, but not as its protocol demands. */
  'wrong-answer': exitCodes.failed,
  /** Nothing listens there: a reset of the connection attempt, or ICMP port or protocol unreachable. */
  refused: exitCodes.unreachable,
  /** The peer reset the connection, or closed it early. */
  reset: exitCodes.failed,
  /** No answer in time, also of a name server. */
  timeout: exitCodes.failed,
  /** No route on this machine, or a router reports that it cannot reach the network or host. */
  unreachable: exitCodes.unreachable,
  /** A firewall, on the path (ICMP administratively prohibited) or on this machine. */
  prohibited: exitCodes.unreachable,
  /** Larger than a datagram can be, or than the path takes without fragmentation. */
  'too-big': exitCodes.unreachable,
  /** The name has no address, or there is no such entry in a database. */
  'no-name': exitCodes.unreachable,
  /** Not permitted: a raw socket, a privileged port. */
  'not-permitted': exitCodes.notPermitted,
  /** The command line, an address or a mask is invalid, or the input cannot be read. */
  invalid: exitCodes.usage,
  /** Ended by a signal before there was a result. */
  interrupted: exitCodes.interrupted,
  /** This machine failed: too many open files, a local port in use. */
  failed: exitCodes.failed,
} as const satisfies Record<string, ExitCode>;

export type Outcome = keyof typeof outcomes;
