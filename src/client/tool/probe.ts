import { InvalidArgumentError } from 'commander';
import { systemClock } from '../../clock/clock.ts';
import type { ExitCode } from '../../exit-codes.ts';
import { outcomes } from '../../outcomes.ts';
import { probe, type ProbeSample, probeTargetNames } from '../probe.ts';
import { bytesOption } from './escapes.ts';
import { countOption, durationOption, rateOption, wholeNumberOption } from './option-values.ts';
import { withSharedPath } from './path-options.ts';
import { formatCounts, formatProbes, formatSample, nameColumns } from './probe-lines.ts';
import { formatDone, formatDoneRate, formatTimeLeft, keepShowing } from './progress.ts';
import { ProbeTable, timeOf } from './probe-watch.ts';
import type { Terminal } from './terminal.ts';
import {
  clientOptions,
  type NetworkOptions,
  noteText,
  printJsonLine,
  type Tool,
  withNetwork,
  withUdp,
} from './tool.ts';

interface ProbeToolOptions extends NetworkOptions {
  readonly send?: Uint8Array;
  readonly expect?: RegExp;
  readonly tls?: true;
  readonly servername?: string;
  readonly insecure?: true;
  readonly count?: number;
  readonly interval?: number;
  readonly watch?: true;
  readonly parallel: number;
  readonly rate?: number;
}

const notes = `
PORTS is a list of ports, service names and ranges, such as 80,443,8000-8010. /tcp or /udp after it overrides -u.
A TCP probe is ok when the connection is made, or with --send when there is an answer. A UDP probe is ok when there is an answer. Without --send it sends an empty datagram, or to the ports of DNS, NTP and STAMP a request.
Exit code 0: every probe is ok. Otherwise that of the most frequent other outcome.`;

export const probeTool: Tool = {
  name: 'probe',
  summary: 'test any TCP or UDP port: outcome and time',
  examples: [
    ['probe localhost:1200-1240', 'which ports are open?'],
    ['probe web.example:80,443 db.example:5432 --watch', 'a table of all ports, until Ctrl-C'],
    ["probe mail.example:25 --expect '^220 '", 'does it greet as a mail server does?'],
    ['probe --tls web.example:443', 'TLS version, cipher, and days until the certificate expires'],
    ['probe ns.example:53/udp ntp.example:123/udp', 'UDP services'],
  ],
  jsonLines: true,
  hasColors: true,
  define(command, terminal, run) {
    withUdp(command.argument('<targets...>', 'HOST:PORTS, or HOST:PORTS/udp'))
      .option(
        '--send <text>',
        'send this and wait for an answer; escapes: \\r, \\n, \\t, \\0, \\\\, \\xHH',
        bytesOption,
      )
      .option('--expect <regex>', 'regular expression that the answer must match; ^ and $ match at lines', regexOption)
      .option('--tls', 'make a TLS handshake and check the certificate')
      .option('--servername <name>', 'with --tls: name to send and to check (default: the host)')
      .option('--insecure', 'with --tls: accept any certificate')
      .option('-c, --count <n>', 'probe each target N times; 0 or forever: until Ctrl-C (default: 1)', countOption)
      .option('-i, --interval <duration>', 'start a round this long after the last one (default: 1s)', durationOption)
      .option('--watch', 'on a terminal, redraw a table until Ctrl-C; elsewhere, print changes only')
      .option('-r, --rate <number>', 'start at most N probes per second', rateOption('probes', 1_000_000))
      .option('--parallel <number>', 'maximum number of concurrent probes', wholeNumberOption(1, 1000), 64);
    withSharedPath(withNetwork(command))
      .addHelpText('after', noteText(notes, terminal))
      .action(run((targets: readonly string[], options: ProbeToolOptions) => probeAll(targets, options, terminal)));
  },
};

/** What prints the samples of a run. */
interface Report {
  add(sample: ProbeSample): void;
  /** After the last one. */
  end(): void;
}

async function probeAll(targets: readonly string[], options: ProbeToolOptions, terminal: Terminal): Promise<ExitCode> {
  const isTimed = options.interval !== undefined || options.watch === true;
  const count = options.count ?? (isTimed ? 0 : 1);
  const names = probeTargetNames(targets, options.udp === true);
  const report = reportOf(names, options, terminal);
  const isTable = options.watch === true && options.json !== true && terminal.isTerminal;
  const total = count === 0 ? undefined : count * names.length;
  let [done, ok] = [0, 0];
  const stopShowing = isTable
    ? () => {}
    : keepShowing(terminal, (elapsedMs) => {
        const rate = formatDoneRate(elapsedMs, done);
        return `${formatDone(done, total, 'probe')}, ${ok} ok${rate}${formatTimeLeft(elapsedMs, done, total)}`;
      });
  const result = await probe(targets, {
    ...clientOptions(options, terminal),
    send: options.send,
    expect: options.expect,
    tls: options.tls,
    isInsecure: options.insecure,
    serverName: options.servername,
    count: count === 0 ? Infinity : count,
    intervalMs: options.interval,
    perSecond: options.rate,
    parallel: options.parallel,
    observe: (sample) => {
      done += 1;
      if (sample.outcome === 'ok') ok += 1;
      report.add(sample);
    },
  }).finally(() => {
    stopShowing();
    report.end();
  });
  if (options.json === true) {
    const { latest: _latest, outcome, ...others } = result;
    const error = outcome === 'ok' ? undefined : formatCounts(others.counts);
    printJsonLine(terminal, { type: 'summary', outcome, error, ...others });
  } else if (result.probes !== 1 || result.outcome === 'interrupted') terminal.print(`\n${formatProbes(result)}`);
  return outcomes[result.outcome];
}

function reportOf(names: readonly string[], options: ProbeToolOptions, terminal: Terminal): Report {
  if (options.json === true)
    return { add: (sample) => printJsonLine(terminal, { type: 'probe', ...sample }), end: () => {} };
  if (options.watch !== true) return printAll(names, terminal);
  const table = new ProbeTable(names);
  return terminal.isTerminal ? drawTable(table, terminal) : printChanges(table, names, terminal);
}

function printAll(names: readonly string[], terminal: Terminal): Report {
  const width = nameColumns(names);
  return {
    add: (sample) => terminal.print(`${formatSample(sample, width, terminal, terminal.columns)}\n`),
    end: () => {},
  };
}

const redrawMs = 200;

function drawTable(table: ProbeTable, terminal: Terminal): Report {
  const draw = (): void => terminal.redraw(table.draw(terminal));
  const cancel = systemClock.every(redrawMs, draw);
  return {
    add: (sample) => void table.add(sample),
    end: () => {
      cancel();
      draw();
    },
  };
}

function printChanges(table: ProbeTable, names: readonly string[], terminal: Terminal): Report {
  const width = nameColumns(names);
  return {
    add: (sample) => {
      if (!table.add(sample)) return;
      terminal.print(`${timeOf(sample)}  ${formatSample(sample, width, terminal, terminal.columns)}\n`);
    },
    end: () => {},
  };
}

/** With `^` and `$` at line ends, as answers have lines. */
function regexOption(text: string): RegExp {
  try {
    return new RegExp(text, 'm');
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : String(error);
    throw new InvalidArgumentError(`expected a regular expression: ${reason}`);
  }
}
