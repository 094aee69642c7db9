import { CommanderError } from 'commander';
import { usageMessage } from '../../command-end.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import type { Attempt, Attempts } from '../options.ts';

/** What `--json` prints for a run without a result. */
export interface Failure {
  readonly outcome: Outcome;
  readonly error: string;
  /** The host as given, of a tool that takes one. */
  readonly target?: string | undefined;
  /** In the order in which they were tried. Undefined if none was. */
  readonly addresses: readonly Attempt[] | undefined;
  readonly elapsedMs: number;
}

/** Describes a run that ended with this error. */
export function failureOf(
  error: unknown,
  { target, attempts, elapsedMs }: { target?: string | undefined; attempts: Attempts; elapsedMs: number },
): Failure {
  const outcome =
    error instanceof SmallservdError ? error.outcome : error instanceof CommanderError ? 'invalid' : 'failed';
  const message = error instanceof Error ? error.message : String(error);
  return {
    outcome,
    error: error instanceof CommanderError ? usageMessage(message) : message,
    target,
    addresses: triedAddresses(attempts, outcome),
    elapsedMs,
  };
}

/** The addresses that a run with this outcome has tried, in that order. Undefined if there are none. */
export function triedAddresses(attempts: Attempts, outcome: Outcome): readonly Attempt[] | undefined {
  const addresses = attempts.list(outcome);
  return addresses.length === 0 ? undefined : addresses;
}
