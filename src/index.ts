/** The public API: the service contract, and the daemon for embedding. */
export { type Daemon, type DaemonOptions, startDaemon } from './server/daemon.ts';
export { type ConfigProblem, ConfigInvalidError, type ErrorCode, SmallservdError } from './errors.ts';
export type { RunningListener } from './server/running-daemon.ts';
export { type Line, Lines } from './lines.ts';
export * from './service.ts';
