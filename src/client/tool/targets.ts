import type { Command } from 'commander';
import { formatHostPort } from '../../address/host-port.ts';
import { systemClock } from '../../clock/clock.ts';
import { endOf } from '../../command-end.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { Attempts, type Endpoint } from '../options.ts';
import { failureOf } from './failure.ts';
import { shippedPortHint } from './shipped-port.ts';
import type { Terminal } from './terminal.ts';
import { type JsonOptions, printJsonLine } from './tool.ts';

/** One of the hosts on a command line. */
export interface ToolTarget {
  /** As given. */
  readonly host: string;
  /** The addresses tried for it. */
  readonly attempts: Attempts;
  /** Whether the command line has no other, so that lines need not name it. */
  readonly isAlone: boolean;
  /** Length of the longest host of the command line. */
  readonly widestHost: number;
}

/** The address and port of a target after its name if there are several. */
export function peerName({ host, isAlone }: ToolTarget, { address, port }: Endpoint): string {
  const peer = formatHostPort(address, port);
  return isAlone || host === peer ? peer : `${host} (${peer})`;
}

/** Adds the argument for one or more hosts. */
export function withTargets(command: Command, description: string): Command {
  return command.argument('<host...>', description);
}

/**
 * Measures all targets at the same time. Reports each one that fails, with `--json` as its summary line. Resolves with
 * the exit code of the first target that is not ok.
 */
export async function measureTargets(
  tool: string,
  hosts: readonly string[],
  options: JsonOptions,
  terminal: Terminal,
  measure: (target: ToolTarget) => Promise<ExitCode>,
): Promise<ExitCode> {
  const beganMs = systemClock.monotonicMs();
  const widestHost = Math.max(...hosts.map(({ length }) => length));
  /** What ended several targets, such as Ctrl-C, is said once. */
  const said = new Set<string>();
  const complain = (message: string): void => {
    if (!said.has(message)) terminal.complain(message);
    said.add(message);
  };
  const codes = hosts.map(async (host) => {
    const target: ToolTarget = { host, attempts: new Attempts(), isAlone: hosts.length === 1, widestHost };
    try {
      return await measure(target);
    } catch (error) {
      const elapsedMs = systemClock.monotonicMs() - beganMs;
      const failure = failureOf(error, { target: host, attempts: target.attempts, elapsedMs });
      if (options.json === true) printJsonLine(terminal, { type: 'summary', ...failure });
      const code = endOf(error, complain);
      const hint = shippedPortHint(tool, host, error);
      if (hint !== undefined) complain(hint);
      return code;
    }
  });
  return (await Promise.all(codes)).find((code) => code !== exitCodes.stopped) ?? exitCodes.stopped;
}
