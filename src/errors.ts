import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { Outcome } from './outcomes.ts';

/** All errors raised by the daemon and the clients, with the exit code of a process that does not handle them. */
export const errorCodes = {
  CONFIG_INVALID: exitCodes.badConfig,
  CONFIG_UNREADABLE: exitCodes.badConfig,
  LISTEN_IN_USE: exitCodes.failed,
  LISTEN_NOT_PERMITTED: exitCodes.notPermitted,
  LISTEN_NOT_AVAILABLE: exitCodes.failed,
  LISTEN_NO_DESCRIPTOR: exitCodes.badConfig,
  LISTEN_FAILED: exitCodes.failed,
  NO_DESCRIPTORS: exitCodes.failed,
  NAME_NOT_RESOLVED: exitCodes.failed,
  USER_UNKNOWN: exitCodes.badConfig,
  USER_NOT_PERMITTED: exitCodes.notPermitted,
  LOG_FILE: exitCodes.failed,
  LOG_FILE_NOT_PERMITTED: exitCodes.notPermitted,
  SERVICE_NOT_CREATED: exitCodes.failed,
  CHECK_ENDED: exitCodes.failed,
  WORKER_FAILED: exitCodes.failed,
  WORKERS_KEEP_DYING: exitCodes.workersKeepDying,
  RELOAD_NEEDS_RESTART: exitCodes.badConfig,
  RELOAD_NOT_ASKED: exitCodes.failed,
  RELOAD_CUT_SHORT: exitCodes.failed,
  IMPORT_INVALID: exitCodes.badConfig,
  IMPORT_EMPTY: exitCodes.failed,
  INSTALL_NOT_PERMITTED: exitCodes.notPermitted,
  INSTALL_REFUSED: exitCodes.failed,
  FAULTS_REFUSED: exitCodes.failed,
  ADMIN_UNKNOWN: exitCodes.usage,
  ADMIN_UNREACHABLE: exitCodes.unreachable,
  ARGUMENT_INVALID: exitCodes.usage,
  ADDRESS_INVALID: exitCodes.failed,
  ENTRY_NOT_FOUND: exitCodes.unreachable,
  HOST_NOT_FOUND: exitCodes.unreachable,
  CONNECT_FAILED: exitCodes.unreachable,
  CONNECTION_LOST: exitCodes.failed,
  NO_ANSWER: exitCodes.failed,
  ANSWER_WRONG: exitCodes.failed,
  RAW_SOCKET_NOT_PERMITTED: exitCodes.notPermitted,
  RAW_SOCKET_MISSING: exitCodes.notPermitted,
  INTERRUPTED: exitCodes.interrupted,
} as const satisfies Record<string, ExitCode>;

export type ErrorCode = keyof typeof errorCodes;

/** What an error says of the run of a client, where its cause does not say more. */
const usualOutcomes: Partial<Record<ErrorCode, Outcome>> = {
  ARGUMENT_INVALID: 'invalid',
  ADDRESS_INVALID: 'invalid',
  ENTRY_NOT_FOUND: 'no-name',
  HOST_NOT_FOUND: 'no-name',
  CONNECT_FAILED: 'unreachable',
  CONNECTION_LOST: 'reset',
  NO_ANSWER: 'timeout',
  ANSWER_WRONG: 'wrong-answer',
  RAW_SOCKET_NOT_PERMITTED: 'not-permitted',
  RAW_SOCKET_MISSING: 'not-permitted',
  INTERRUPTED: 'interrupted',
};

export interface SmallservdErrorOptions extends ErrorOptions {
  /** Default: what the code says. */
  readonly outcome?: Outcome | undefined;
}

/** An error with one of the codes above and a message for the user. */
export class SmallservdError extends Error {
  override readonly name: string = 'SmallservdError';
  readonly code: ErrorCode;
  /** How the run of a client ended. `failed` for errors of the daemon. */
  readonly outcome: Outcome;

  constructor(code: ErrorCode, message: string, options: SmallservdErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.outcome = options.outcome ?? usualOutcomes[code] ?? 'failed';
  }

  get exitCode(): ExitCode {
    return this.outcome === 'not-permitted' ? exitCodes.notPermitted : errorCodes[this.code];
  }
}

/** A problem in a config: where it is, what is wrong and what was expected. */
export interface ConfigProblem {
  /** `file:line:column`, a bare file name, or the environment variable or `--set` option that holds the value. */
  readonly where: string;
  /** Path of the key, such as `services.echo.idleTimeout`. Empty for the document itself. */
  readonly path: string;
  /** What is wrong and what is expected, without a period. May start with a verb, such as `is not a mapping`. */
  readonly message: string;
  /** Start of the message line, and subject of such a verb: `where` and `path`, unless one implies the other. */
  readonly subject: string;
}

/** All problems of a config. The message has one line per problem. */
export class ConfigInvalidError extends SmallservdError {
  override readonly name = 'ConfigInvalidError';
  readonly problems: readonly ConfigProblem[];
  /** Number of further problems. */
  readonly unreported: number;

  constructor(problems: readonly ConfigProblem[], unreported = 0) {
    const lines = problems.map(({ subject, message }) => `${subject}${isPredicate(message) ? '' : ':'} ${message}`);
    if (unreported > 0) lines.push(`and ${unreported} more ${unreported === 1 ? 'problem' : 'problems'}`);
    super('CONFIG_INVALID', lines.join('\n'));
    this.problems = problems;
    this.unreported = unreported;
  }
}

/** Whether a message starts with a verb. Others may be complete sentences, also of services that are not ours. */
function isPredicate(message: string): boolean {
  return /^(?:is|are|has|must|may|needs|does not|can(?:not)? be) /.test(message);
}
