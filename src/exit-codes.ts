/** Exit codes for service managers and shells, from sysexits.h where one fits. */
export const exitCodes = {
  /** Stopped as requested. For a client: success. */
  stopped: 0,
  /** A possibly temporary failure: a port in use, an unreachable name server. For a client: a wrong answer or none. */
  failed: 1,
  /** A client could not resolve or connect, or `status` found no daemon. */
  unreachable: 2,
  /** Invalid command line (EX_USAGE). */
  usage: 64,
  /** The workers keep exiting (EX_SOFTWARE). */
  workersKeepDying: 70,
  /** Not permitted: a privileged port, a change of user, a file (EX_NOPERM). */
  notPermitted: 77,
  /** Invalid config (EX_CONFIG). */
  badConfig: 78,
  /** A client was interrupted before it had a result: 128 plus the number of SIGINT, as in shells. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
