import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ClientOptions, defaultTimeoutMs, type EitherProtocolOptions } from '../options.ts';
import type { ExitCode } from '../../exit-codes.ts';
import { escapeControls } from '../../terminal-text.ts';
import { formatDuration, parseDuration, parseSize } from '../../units.ts';
import { boundResolver } from './resolver.ts';
import type { Terminal } from './terminal.ts';

/** The command line and output of a smallserv subcommand. The work is done in `src/client`. */
export interface Tool {
  readonly name: string;
  /** One line for the list of tools. */
  readonly summary: string;
  /** Command lines without `smallserv`, each with its purpose. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** Adds arguments, options and the action. `run` wraps a function that resolves with an exit code (nothing for 0). */
  define(command: Command, terminal: Terminal, run: Run): void;
}

/** `command.action(run(async (host, options) => …))`. */
export type Run = <Arguments extends readonly unknown[]>(
  action: (...args: Arguments) => Promise<ExitCode | void>,
) => (...args: Arguments) => Promise<void>;

/** The parsed options of `withNetwork`. */
export interface NetworkOptions {
  readonly '4'?: true;
  readonly '6'?: true;
  readonly timeout: number;
  readonly json?: true;
  readonly udp?: true;
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON, for programs');
}

/** Adds `-4`, `-6`, `--timeout`, which also bounds the system resolver, and `--json`. */
export function withNetwork(command: Command): Command {
  return withJson(
    command
      .addOption(new Option('-4', 'use IPv4 only').conflicts('6'))
      .addOption(new Option('-6', 'use IPv6 only'))
      .addOption(timeoutOption())
      .hook('preAction', () => boundResolver(command.opts<NetworkOptions>().timeout)),
  );
}

function timeoutOption(): Option {
  return new Option('--timeout <duration>', 'time to wait for each of: name, connection, answer')
    .argParser(durationOption)
    .default(defaultTimeoutMs, formatDuration(defaultTimeoutMs));
}

/** Like `withNetwork`, plus `--udp`. */
export function withProtocol(command: Command): Command {
  return withNetwork(command.option('-u, --udp', 'over UDP instead of TCP'));
}

/** Converts the options for the clients in `src/client`. */
export function clientOptions(options: NetworkOptions, terminal: Terminal): ClientOptions & EitherProtocolOptions {
  return {
    family: options[4] === true ? 'ipv4' : options[6] === true ? 'ipv6' : 'both',
    timeoutMs: options.timeout,
    udp: options.udp === true,
    signal: terminal.signal,
  };
}

/** Parses `1500ms`, `10s` or `5m` as milliseconds, at least 1. */
export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1 || ms > 2 ** 31 - 1)
    throw new InvalidArgumentError('Expected a duration with its unit, such as 500ms, 10s or 5m.');
  return ms;
}

/** Parses `512`, `64KiB` or `1GiB` as bytes. */
export function sizeOption(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined || !Number.isSafeInteger(bytes))
    throw new InvalidArgumentError('Expected a size in bytes, such as 512, 64KiB or 1GiB.');
  return bytes;
}

/** Returns a parser for integers in an inclusive range. */
export function wholeNumberOption(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** Prints a result as JSON: bytes in base64, a bigint as decimal text. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.print(`${escapeControls(JSON.stringify(plain(value), null, 2))}\n`);
}

/** Converts bytes to text first, because Buffer's own toJSON runs before any replacer. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
