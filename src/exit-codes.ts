/** What the process tells its service manager when it ends; values from sysexits.h where one fits. */
export const exitCodes = {
  /** Stopped as asked. */
  stopped: 0,
  /** Failed for a reason that may pass: a port in use, an unreachable name server. */
  failed: 1,
  /** The command line was wrong (EX_USAGE). */
  usage: 64,
  /** The workers keep dying (EX_SOFTWARE). */
  workersKeepDying: 70,
  /** Not permitted: a low port, a user to become, a file (EX_NOPERM). */
  notPermitted: 77,
  /** The config is wrong (EX_CONFIG). */
  badConfig: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
