/** How much is measured. */
export interface Plan {
  /** Pairs of each comparison. */
  readonly rounds: number;
  readonly roundSeconds: number;
  /** Load before the first round, so that compilers and heaps settle. */
  readonly warmSeconds: number;
  readonly idleClients: number;
  /** Fresh servers for memory and for the start. */
  readonly memoryRounds: number;
  readonly startRounds: number;
  readonly reloadRounds: number;
  /** Rounds with open pages: they get events once a second. */
  readonly pageSeconds: number;
  /** After this long nothing more is begun. */
  readonly limitSeconds: number;
}

/** Within ten minutes. */
export const fullPlan: Plan = {
  rounds: 5,
  roundSeconds: 0.8,
  warmSeconds: 0.6,
  idleClients: 10_000,
  memoryRounds: 3,
  startRounds: 5,
  reloadRounds: 5,
  pageSeconds: 3,
  limitSeconds: 580,
};

/** Within a minute. */
export const quickPlan: Plan = {
  rounds: 5,
  roundSeconds: 0.12,
  warmSeconds: 0.4,
  idleClients: 10_000,
  memoryRounds: 1,
  startRounds: 1,
  reloadRounds: 1,
  pageSeconds: 1.5,
  limitSeconds: 52,
};
