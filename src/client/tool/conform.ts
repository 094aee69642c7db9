import { InvalidArgumentError, Option } from 'commander';
import { type CheckResult, type ConformResult, conform, conformOutcome } from '../conform.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { outcomes } from '../../outcomes.ts';
import { escapeControls } from '../../terminal-text.ts';
import { wholeNumberOption } from './option-values.ts';
import { withSharedPath } from './path-options.ts';
import { formatDone, formatTimeLeft, keepShowing } from './progress.ts';
import type { Terminal } from './terminal.ts';
import {
  clientOptions,
  type Fault,
  type NetworkOptions,
  noteText,
  printDocument,
  stepsOfMany,
  type Tool,
  withNetwork,
} from './tool.ts';

interface ConformToolOptions extends NetworkOptions {
  readonly services?: readonly string[];
  readonly basePort: number;
  readonly port?: Readonly<Record<string, number>>;
  readonly tcpOnly?: true;
  readonly udpOnly?: true;
}

const notes = `
Each check names its basis: an RFC, or "safety" for protecting the server and others from abuse.
Two safety checks send datagrams from ports below 1024, which needs root, and from ports of well-known reflectors. All other datagrams come from a port that the system chooses.
Exit code 1: a check failed or broke; 2: no service was reached.`;

export const conformTool: Tool = {
  name: 'conform',
  summary: 'check any server against the RFCs and for abuse protection',
  examples: [
    ['conform server.example', 'all services on their standard ports'],
    ['conform localhost --base-port 1200 --port daytime=1200 --port echo=1201', 'a smallservd with the shipped config'],
    ['conform 192.0.2.1 --services time,daytime --udp-only', 'two services, UDP only'],
  ],
  hasColors: true,
  define(command, terminal, run) {
    withSharedPath(
      withNetwork(
        command
          .argument('<host>', 'HOST, without a port')
          .option(
            '--services <names>',
            'check only these, such as echo,time; tcpmux, finger, ident and stamp are checked only if named',
            (text) => text.split(','),
          )
          .option(
            '--base-port <number>',
            'add this to each standard port: with 1200, chargen is at 1219',
            wholeNumberOption(0, 65_535),
            0,
          )
          .option('--port <service=number>', 'port of one service; repeatable', addPort)
          .addOption(new Option('--tcp-only', 'check TCP only').conflicts('udpOnly'))
          .option('--udp-only', 'check UDP only'),
        stepsOfMany,
      ),
    )
      .addHelpText('after', noteText(notes, terminal))
      .action(
        run(async (host: string, options: ConformToolOptions) => {
          let [done, all] = [0, 0];
          const stopShowing = keepShowing(terminal, (elapsedMs) =>
            all === 0 ? undefined : `${formatDone(done, all, 'check')}${formatTimeLeft(elapsedMs, done, all)}`,
          );
          const result = await conform(host, {
            ...clientOptions(options, terminal),
            services: options.services,
            transport: options.tcpOnly === true ? 'tcp' : options.udpOnly === true ? 'udp' : undefined,
            basePort: options.basePort,
            ports: options.port,
            onProgress: (...counts) => {
              [done, all] = counts;
            },
          }).finally(stopShowing);
          const fault = faultOf(result);
          if (options.json === true) printDocument(terminal, result, fault);
          else if (isReached(result)) printResult(result, terminal);
          return judge(result, terminal);
        }),
      );
  },
};

function addPort(text: string, before: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  const match = /^([a-z]+)=(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || !(port >= 1 && port <= 65_535))
    throw new InvalidArgumentError('expected a service and a port from 1 to 65535, such as echo=1201');
  return { ...before, [match[1]]: port };
}

function isReached({ checks, counts }: ConformResult): boolean {
  return checks.length > counts.unreachable;
}

/** Reports what the table does not show and returns the exit code. */
export function judge(result: ConformResult, terminal: Pick<Terminal, 'complain'>): ExitCode {
  const { outcome, error } = faultOf(result);
  if (error !== undefined) terminal.complain(error);
  return isReached(result) ? outcomes[outcome] : exitCodes.unreachable;
}

/** How the run ended, and what the table does not show. */
function faultOf(result: ConformResult): Fault {
  const { host, checks, counts } = result;
  const outcome = conformOutcome(result);
  if (!isReached(result)) return { outcome, error: `no service on ${host} could be reached: ${reasonOf(checks)}` };
  if (counts.broken === 0) return { outcome };
  return { outcome, error: `checks broken by an error in smallserv: ${counts.broken}; they say nothing about ${host}` };
}

const words = {
  passed: 'passed',
  failed: 'FAILED',
  unreachable: 'unreachable',
  skipped: 'skipped',
  broken: 'BROKEN',
} as const;
const colors = { passed: 'green', failed: 'red', unreachable: 'yellow', skipped: 'yellow', broken: 'red' } as const;
const columns = { outcome: 13, name: 23, basis: 9 };
/** With fewer left for the fact, it goes on a line below. */
const leastFactColumns = 20;

/** A table for each service over each transport. */
function printResult({ checks, counts }: ConformResult, terminal: Terminal): void {
  const groups = [...new Set(checks.map(groupOf))];
  for (const group of groups) {
    const members = checks.filter((check) => groupOf(check) === group);
    terminal.print(`${terminal.paint('bold', group)}\n`);
    if (members.every(({ outcome }) => outcome === 'unreachable'))
      terminal.print(`${word('unreachable', terminal)}${wrap(reasonOf(members), columns.outcome, terminal)}\n`);
    else for (const check of members) printCheck(check, terminal);
    terminal.print('\n');
  }
  const sum = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${counts.unreachable} unreachable`;
  terminal.print(`${terminal.paint('bold', sum)}\n`);
}

function printCheck({ id, basis, fact, outcome, detail }: CheckResult, terminal: Terminal): void {
  const name = id.split('.').at(-1) ?? id;
  const head = `${name.padEnd(columns.name)}${basis.padEnd(columns.basis)}`;
  const start = columns.outcome + head.length;
  const isNarrow = terminal.isTerminal && terminal.columns - start <= leastFactColumns;
  const [gap, indentation] = isNarrow ? [`\n${' '.repeat(columns.outcome)}`, columns.outcome] : ['', start];
  const first = word(outcome, terminal) + (isNarrow ? head.trimEnd() : head);
  terminal.print(`${first}${gap}${wrap(fact, indentation, terminal)}\n`);
  if (detail === '') return;
  const shown = ' '.repeat(columns.outcome) + wrap(escapeControls(detail), columns.outcome, terminal);
  terminal.print(`${terminal.paint(outcome === 'failed' ? 'red' : 'dim', shown)}\n`);
}

/** Wraps text that starts in this column to the width of the terminal, if there is one. */
function wrap(text: string, column: number, terminal: Terminal): string {
  if (!terminal.isTerminal) return text;
  const width = Math.max(20, terminal.columns - column - 1);
  const lines = text.match(new RegExp(`.{1,${width}}(?:\\s|$)|.{1,${width}}`, 'g')) ?? [text];
  return lines.map((line) => line.trimEnd()).join(`\n${' '.repeat(column)}`);
}

function word(outcome: CheckResult['outcome'], terminal: Terminal): string {
  return terminal.paint(colors[outcome], words[outcome].padEnd(columns.outcome));
}

function groupOf({ service, transport }: CheckResult): string {
  return `${service} over ${transport.toUpperCase()}`;
}

/** Why nothing was reached, in one line. */
function reasonOf(checks: readonly CheckResult[]): string {
  const [first = '', ...others] = new Set(checks.map(({ detail }) => escapeControls(detail)));
  return others.length === 0 ? first : `${first}; ${others.length} more like it`;
}
