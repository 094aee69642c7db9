/** The public API: the service contract, and the daemon for embedding. */
export type { ConfigInput as Config, FaultsInput as Faults } from './server/config/config-input.ts';
export { type Daemon, type DaemonOptions, startDaemon } from './server/embedding/daemon.ts';
export type { Snapshot as DaemonStatus } from './server/admin/snapshot.ts';
export type { ServiceCounters } from './server/counters.ts';
export { type ConfigProblem, ConfigInvalidError, type ErrorCode, SmallservdError } from './errors.ts';
export type { RunningListener } from './server/running-daemon.ts';
export { type Line, Lines } from './lines.ts';
export { LongAnswer } from './long-answer.ts';
export * from './service.ts';
