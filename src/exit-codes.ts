/** What a process tells its service manager, or the shell, when it ends; values from sysexits.h where one fits. */
export const exitCodes = {
  /** Stopped as asked; for a client, done and as it should be. */
  stopped: 0,
  /**
   * Failed for a reason that may pass: a port in use, an unreachable name server; for a client, a wrong answer or none.
   */
  failed: 1,
  /** A client could not resolve or connect; `status` found no daemon. */
  unreachable: 2,
  /** The command line was wrong (EX_USAGE). */
  usage: 64,
  /** The workers keep dying (EX_SOFTWARE). */
  workersKeepDying: 70,
  /** Not permitted: a low port, a user to become, a file (EX_NOPERM). */
  notPermitted: 77,
  /** The config is wrong (EX_CONFIG). */
  badConfig: 78,
  /** A client was interrupted before it had a result: 128 and the number of SIGINT, as shells say. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
