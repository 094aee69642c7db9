import { Option } from 'commander';
import { formatHostPort } from '../../address/host-port.ts';
import { echo } from '../echo.ts';
import { type EchoPingResult, echoPing } from '../echo-ping.ts';
import { SmallservdError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { CsvEchoReport, csvHeaders, FpingEchoReport, SmokePingEchoReport } from './echo-formats.ts';
import { type EchoReport, JsonEchoReport, TextEchoReport } from './echo-report.ts';
import { JsonLines } from './json-lines.ts';
import { countOption, durationOption, sizeOption } from './option-values.ts';
import { type RequestProgress, withProgress } from './progress.ts';
import { type FlowOptions, type SampleOptions, withFlows, withSamples } from './sample-options.ts';
import { measureTargets, type ToolTarget, withTargets } from './targets.ts';
import type { Terminal } from './terminal.ts';
import { clientOptions, type NetworkOptions, stepsOfMany, type Tool, withProtocol } from './tool.ts';

interface EchoToolOptions extends NetworkOptions, SampleOptions, FlowOptions {
  readonly size?: number;
  readonly keepalive?: number;
  readonly format: EchoFormat;
}

const reports = {
  text: TextEchoReport,
  json: JsonEchoReport,
  csv: CsvEchoReport,
  fping: FpingEchoReport,
  smokeping: SmokePingEchoReport,
} as const;

type EchoFormat = keyof typeof reports;

export const echoTool: Tool = {
  name: 'echo',
  summary: 'send to an echo service and check what comes back (RFC 862)',
  examples: [
    ['echo localhost:1201', 'line by line; Ctrl-D ends it'],
    ['echo localhost:1201 < FILE', 'the contents of a file'],
    ['echo -c 10 echo.example', 'ten requests, one a second, like ping'],
    ['echo -u -c 100 -i 0.1 --flows 8 echo.example', 'from 8 source ports: is a link of a bundle broken?'],
    ['echo -c 60 --format csv echo.example > FILE', 'a table for a spreadsheet'],
    ['echo -c 3 -i 0.2 a.example b.example', 'two services side by side'],
    ['echo -u -c 0 -s 1400 -i 100ms [2001:db8::7]', 'datagrams until Ctrl-C'],
  ],
  jsonLines: true,
  hasColors: true,
  define(command, terminal, run) {
    const described = withTargets(
      command,
      'HOST or HOST:PORT; default port 7; several only with --count or --interval',
    );
    const network = withProtocol(described, stepsOfMany);
    const count = 'send N requests and time the answers; 0 or forever: until Ctrl-C';
    withFlows(withSamples(network, count, countOption))
      .option(
        '-s, --size <bytes>',
        'size of a request, or with piped input over UDP, of a datagram (default: 512)',
        sizeOption,
      )
      .addOption(
        new Option('--format <format>', 'how to print the results of requests; json is --json')
          .choices(Object.keys(reports))
          .default('text'),
      )
      .option('--keepalive <duration>', 'over TCP: probe a peer that is silent for this long', durationOption)
      .action(
        run(async (hosts: readonly string[], given: EchoToolOptions) => {
          const options = withFormat(given);
          const isTimed = options.count !== undefined || options.interval !== undefined;
          if (isTimed) assertTimed(options);
          else assertPipe(hosts, options);
          if (options.format === 'csv')
            terminal.print(options.quiet === true ? csvHeaders.targets : csvHeaders.requests);
          if (!isTimed)
            return measureTargets('echo', hosts, options, terminal, (target) => pipe(target, options, terminal));
          const isSilent = options.quiet === true || options.format === 'smokeping';
          return withProgress(hosts, options, isSilent, terminal, (progress) =>
            measureTargets('echo', hosts, options, terminal, (target) => time(target, options, terminal, progress)),
          );
        }),
      );
  },
};

/** Makes `--json` and `--format json` the same. Throws `ARGUMENT_INVALID` for `--json` with another format. */
function withFormat(options: EchoToolOptions): EchoToolOptions {
  if (options.format === 'json') return { ...options, json: true };
  if (options.json !== true) return options;
  if (options.format === 'text') return { ...options, format: 'json' };
  throw new SmallservdError('ARGUMENT_INVALID', `--json cannot be used with --format ${options.format}`);
}

/** Throws `ARGUMENT_INVALID`. */
function assertTimed({ format, count = 0 }: EchoToolOptions): void {
  if (count === 0 && (format === 'fping' || format === 'smokeping'))
    throw new SmallservdError('ARGUMENT_INVALID', `--format ${format} needs --count: it is one line for all requests`);
}

/** Throws `ARGUMENT_INVALID` for what needs requests at intervals. */
function assertPipe(hosts: readonly string[], options: EchoToolOptions): void {
  const fault =
    hosts.length > 1
      ? ', more than one host'
      : options.deadline !== undefined
        ? ', --deadline'
        : options.flows !== undefined
          ? ', --flows'
          : options.format !== 'text' && options.format !== 'json'
            ? `, --format ${options.format}`
            : options.size !== undefined && options.udp !== true
              ? ' over TCP, --size'
              : undefined;
  if (fault === undefined) return;
  throw new SmallservdError('ARGUMENT_INVALID', `with piped input${fault} needs --count or --interval`);
}

/** Sends standard input and prints what comes back. */
async function pipe(target: ToolTarget, options: EchoToolOptions, terminal: Terminal): Promise<ExitCode> {
  const isTyped = terminal.input.isTTY && terminal.isTerminal && options.json !== true;
  const deliver = async (bytes: Uint8Array): Promise<void> => {
    if (options.json !== true) await terminal.printPeer(bytes);
  };
  const echoed = await echo(target.host, readInput(terminal.input), deliver, {
    ...clientOptions(options, terminal),
    attempts: target.attempts,
    sizeBytes: options.size,
    keepAliveMs: options.keepalive,
    connected: ({ address, port }) => {
      if (isTyped) terminal.print(`${formatHostPort(address, port)} sends back what you type; Ctrl-D ends it.\n`);
    },
  }).finally(() => {
    // If the peer ended first, someone could still be typing.
    terminal.input.destroy();
  });
  if (options.json === true) new JsonLines(terminal, target, false).summary('ok', undefined, echoed);
  return exitCodes.stopped;
}

/** Sends requests at intervals to one target and reports them. */
async function time(
  target: ToolTarget,
  options: EchoToolOptions,
  terminal: Terminal,
  progress: RequestProgress,
): Promise<ExitCode> {
  const { count = 0, size = 512, udp: isUdp = false, quiet: isQuiet = false, timestamps = false } = options;
  const reportOptions = { count, sizeBytes: size, isUdp, isQuiet, hasTimestamps: timestamps };
  const report: EchoReport = new reports[options.format](terminal, target, reportOptions);
  let refusal: string | undefined;
  const result = await echoPing(target.host, {
    ...clientOptions(options, terminal),
    attempts: target.attempts,
    count,
    sizeBytes: options.size,
    intervalMs: options.interval,
    deadlineMs: options.deadline,
    keepAliveMs: options.keepalive,
    flows: options.flows,
    connected: (peer) => report.connected(peer),
    observe: (event) => {
      if (event.kind === 'refused') refusal = event.message;
      if (event.kind === 'answered' && !event.isDuplicate)
        progress.answered(event.rttMs, event.rttMs > options.timeout);
      else if (event.kind === 'silence' || (event.kind === 'refused' && event.sequence !== undefined)) progress.lost();
      report.observe(event);
    },
  }).catch((error: unknown) => {
    report.failed(error as Error);
    throw error;
  });
  const error = result.isRight ? undefined : (result.problem ?? faultOf(result, refusal));
  report.ended(result, error);
  // The lines and the summary tell of lost and changed requests.
  const hasLines = !isQuiet && options.format !== 'json' && options.format !== 'smokeping';
  const isTold = result.problem === undefined && (result.outcome === 'timeout' || hasLines);
  if (error !== undefined && !isTold) terminal.complain(error);
  if (result.outcome === 'interrupted') return exitCodes.interrupted;
  return result.isRight ? exitCodes.stopped : exitCodes.failed;
}

/** What is wrong with a run that nothing ended early. `refusal` is the last one. */
function faultOf({ outcome, sent, lost, corrupted, peer }: EchoPingResult, refusal?: string): string {
  const name = formatHostPort(peer.address, peer.port);
  if (outcome === 'interrupted') return 'interrupted';
  if (corrupted > 0) return `${name}: ${corrupted} of ${sent} requests came back changed`;
  return refusal ?? `${name}: ${lost} of ${sent} requests did not come back`;
}

async function* readInput(input: AsyncIterable<Buffer | string>): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of input) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  } catch (error) {
    const { message } = error as Error;
    throw new SmallservdError('ARGUMENT_INVALID', `cannot read standard input: ${message}`, { cause: error });
  }
}
