import { type Command, Option } from 'commander';
import { type ClientOptions, defaultTimeoutMs, type EitherProtocolOptions } from '../options.ts';
import type { ExitCode } from '../../exit-codes.ts';
import { type Outcome, outcomes } from '../../outcomes.ts';
import { formatJson, wrap } from '../../terminal-text.ts';
import { formatDuration } from '../../units.ts';
import { triedAddresses } from './failure.ts';
import { durationOption } from './option-values.ts';
import { type PathOptions, pathControls, withPath } from './path-options.ts';
import { boundResolver } from './resolver.ts';
import type { Terminal } from './terminal.ts';

/** The command line and output of a smallserv subcommand. The work is done in `src/client`. */
export interface Tool {
  readonly name: string;
  /** One line for the list of tools. */
  readonly summary: string;
  /** Command lines without `smallserv`, each with its purpose. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** Whether `--json` prints a line for each request and a summary, instead of one document. */
  readonly jsonLines?: true;
  /** Whether its output has colors, which `--color` chooses. */
  readonly hasColors?: true;
  /** Adds arguments, options and the action. `run` wraps a function that resolves with an exit code (nothing for 0). */
  define(command: Command, terminal: Terminal, run: Run): void;
}

/** `command.action(run(async (host, options) => …))`. */
export type Run = <Arguments extends readonly unknown[]>(
  action: (...args: Arguments) => Promise<ExitCode | void>,
) => (...args: Arguments) => Promise<void>;

/** A text at the end of a help, each line of it wrapped. */
export function noteText(text: string, { columns }: Pick<Terminal, 'columns'>): string {
  return text
    .split('\n')
    .map((line) => wrap(line, columns))
    .join('\n');
}

/** The parsed option of `withJson`. */
export interface JsonOptions {
  readonly json?: true;
}

/** The parsed options of `withNetwork` and `withProtocol`. */
export interface NetworkOptions extends JsonOptions, PathOptions {
  readonly '4'?: true;
  readonly '6'?: true;
  readonly timeout: number;
  readonly udp?: true;
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON, for programs');
}

/** Adds `-4`, `-6`, `--timeout` for these steps, which also bounds the system resolver, and `--json`. */
export function withNetwork(command: Command, steps = 'name lookup, connection and answer together'): Command {
  return withJson(
    command
      .addOption(new Option('-4', 'use IPv4 only').conflicts('6'))
      .addOption(new Option('-6', 'use IPv6 only'))
      .addOption(
        new Option('-W, --timeout <duration>', `timeout of ${steps}`)
          .argParser(durationOption)
          .default(defaultTimeoutMs, formatDuration(defaultTimeoutMs)),
      )
      .hook('preAction', () => boundResolver(command.opts<NetworkOptions>().timeout)),
  );
}

/** What `--timeout` bounds of a tool that waits for many answers. */
export const stepsOfMany = 'name lookup and connection together, and of each answer';

/** Like `withNetwork`, plus `--udp` and the options of `withPath`. */
export function withProtocol(command: Command, steps?: string): Command {
  return withPath(withNetwork(withUdp(command), steps));
}

/** Adds `--udp`. */
export function withUdp(command: Command): Command {
  return command.option('-u, --udp', 'use UDP instead of TCP');
}

/** Converts the options for the clients in `src/client`. */
export function clientOptions(options: NetworkOptions, terminal: Terminal): ClientOptions & EitherProtocolOptions {
  return {
    family: options[4] === true ? 'ipv4' : options[6] === true ? 'ipv6' : 'both',
    timeoutMs: options.timeout,
    udp: options.udp === true,
    signal: terminal.signal,
    pathControls: pathControls(options),
    attempts: terminal.attempts,
  };
}

/** What is wrong with a result that is printed nevertheless. */
export interface Fault {
  readonly outcome: Outcome;
  /** Undefined if the result says it. */
  readonly error?: string | undefined;
}

/** Prints a result: as text, or with `--json` as JSON. */
export function printResult<Result extends object>(
  terminal: Terminal,
  options: JsonOptions,
  result: Result,
  format: (result: Result) => string,
  fault?: Fault,
): void {
  if (options.json === true) printDocument(terminal, result, fault);
  else terminal.print(format(result));
}

/** Prints the one JSON document of a run that has a result. If it has a host, it begins like that of a failure. */
export function printDocument(terminal: Terminal, result: object, { outcome, error }: Fault = { outcome: 'ok' }): void {
  const { target, attempts, elapsedMs } = terminal;
  const run = target === undefined ? {} : { target, addresses: triedAddresses(attempts, outcome), elapsedMs };
  printJson(terminal, { outcome, error, ...run, ...result });
}

/** Reports the fault, if there is one, and returns the exit code. */
export function judgeFault(terminal: Terminal, fault: Fault | undefined): ExitCode {
  if (fault?.error !== undefined) terminal.complain(fault.error);
  return outcomes[fault?.outcome ?? 'ok'];
}

/** Says so if a service answered over UDP, but not the usual empty request. */
export function warnOfLostRequest(
  terminal: Terminal,
  { requestBytes = 0 }: { requestBytes?: number | undefined },
): void {
  if (requestBytes === 0) return;
  const answered = requestBytes === 1 ? 'one of 1 byte did' : `one of ${requestBytes} bytes did`;
  terminal.complain(
    `an empty datagram got no answer within a second, ${answered}: the path may drop empty datagrams, or lose some`,
  );
}

/** Prints a value as JSON: bytes in base64, a bigint as decimal text, milliseconds with microsecond digits. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.print(formatJson(plain(value)));
}

/** Like `printJson`, on one line. */
export function printJsonLine(terminal: Terminal, value: unknown): void {
  terminal.print(formatJson(plain(value), 0));
}

/** Converts bytes to text first, because Buffer's own toJSON runs before any replacer. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      typeof each === 'number' && key.endsWith('Ms') ? toMicroseconds(each) : plain(each),
    ]),
  );
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
