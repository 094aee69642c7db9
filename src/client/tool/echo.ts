import { formatHostPort } from '../../address/host-port.ts';
import { echo } from '../echo.ts';
import { type EchoPingEvent, type EchoPingResult, echoPing } from '../echo-ping.ts';
import { SmallservdError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { countOption, durationOption, sizeOption } from './option-values.ts';
import { formatRoundTrips } from './round-trips.ts';
import type { Terminal } from './terminal.ts';
import {
  clientOptions,
  type NetworkOptions,
  printDocument,
  printResult,
  stepsOfMany,
  type Tool,
  withProtocol,
} from './tool.ts';

interface EchoToolOptions extends NetworkOptions {
  readonly count?: number;
  readonly interval?: number;
  readonly size?: number;
  readonly quiet?: true;
  readonly keepalive?: number;
}

export const echoTool: Tool = {
  name: 'echo',
  summary: 'send to an echo service and check what comes back (RFC 862)',
  examples: [
    ['echo localhost:1201', 'line by line; Ctrl-D ends it'],
    ['echo localhost:1201 < FILE', 'the contents of a file'],
    ['echo -c 10 echo.example', 'ten requests, one a second, like ping'],
    ['echo -u -c 0 -s 1400 -i 100ms [2001:db8::7]', 'datagrams until Ctrl-C'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 7'), stepsOfMany)
      .option('-c, --count <n>', 'send N requests and time the answers; 0 or forever: until Ctrl-C', countOption)
      .option('-i, --interval <duration>', 'wait this long between requests (default: 1s)', durationOption)
      .option(
        '-s, --size <bytes>',
        'size of a request, or with piped input over UDP, of a datagram (default: 512)',
        sizeOption,
      )
      .option('-q, --quiet', 'do not print a line for each answer')
      .option('--keepalive <duration>', 'over TCP: probe a peer that is silent for this long', durationOption)
      .action(
        run(async (host: string, options: EchoToolOptions) => {
          const isTimed = options.count !== undefined || options.interval !== undefined;
          return isTimed ? ping(host, options, terminal) : pipe(host, options, terminal);
        }),
      );
  },
};

/** Sends standard input and prints what comes back. */
async function pipe(host: string, options: EchoToolOptions, terminal: Terminal): Promise<void> {
  if (options.size !== undefined && options.udp !== true)
    throw new SmallservdError('ARGUMENT_INVALID', 'with piped input over TCP, --size needs --count');
  const isTyped = terminal.input.isTTY && terminal.isTerminal && options.json !== true;
  const deliver = async (bytes: Uint8Array): Promise<void> => {
    if (options.json !== true) await terminal.printPeer(bytes);
  };
  const echoed = await echo(host, readInput(terminal.input), deliver, {
    ...clientOptions(options, terminal),
    sizeBytes: options.size,
    keepAliveMs: options.keepalive,
    connected: ({ address, port }) => {
      if (isTyped) terminal.print(`${formatHostPort(address, port)} sends back what you type; Ctrl-D ends it.\n`);
    },
  }).finally(() => {
    // If the peer ended first, someone could still be typing.
    terminal.input.destroy();
  });
  if (options.json === true) printDocument(terminal, echoed);
}

/** Sends requests at intervals, prints a line per answer and a summary at the end. */
async function ping(host: string, options: EchoToolOptions, terminal: Terminal): Promise<ExitCode> {
  const isLineWanted = options.quiet !== true && options.json !== true;
  const progressAfter = progressLine(options.count ?? 0);
  let peer = '';
  let refusal: string | undefined;
  const result = await echoPing(host, {
    ...clientOptions(options, terminal),
    count: options.count ?? 0,
    sizeBytes: options.size,
    intervalMs: options.interval,
    keepAliveMs: options.keepalive,
    connected: ({ address, port }) => {
      peer = formatHostPort(address, port);
      const protocol = options.udp === true ? 'UDP' : 'TCP';
      if (options.json !== true) terminal.print(`echo ${peer} over ${protocol}, ${options.size ?? 512} bytes\n`);
    },
    observe: (event) => {
      if (event.kind === 'refused') refusal = event.message;
      if (!isLineWanted) terminal.showProgress(progressAfter(event));
      else if (event.kind !== 'sent') terminal.print(describe(event, peer, options.size ?? 512, terminal));
    },
  });
  const error = result.problem ?? (isLineWanted || result.isRight ? undefined : faultOf(result, peer, refusal));
  const fault = { outcome: result.outcome, error };
  // The summary, or the document, tells of requests that were lost.
  const isTold = result.problem === undefined && result.outcome === 'timeout';
  printResult(terminal, options, result, (ended) => `\n${formatRoundTrips(peer, ended, ended.elapsedMs)}`, fault);
  if (error !== undefined && !isTold) terminal.complain(error);
  if (result.outcome === 'interrupted') return exitCodes.interrupted;
  return result.isRight ? exitCodes.stopped : exitCodes.failed;
}

/** What is wrong with a run that nothing ended early. `refusal` is the last one. */
function faultOf({ outcome, sent, lost, corrupted }: EchoPingResult, peer: string, refusal?: string): string {
  if (outcome === 'interrupted') return 'interrupted';
  if (corrupted > 0) return `${peer}: ${corrupted} of ${sent} requests came back changed`;
  return refusal ?? `${peer}: ${lost} of ${sent} requests did not come back`;
}

function describe(
  event: Exclude<EchoPingEvent, { kind: 'sent' }>,
  peer: string,
  sizeBytes: number,
  terminal: Terminal,
): string {
  switch (event.kind) {
    case 'refused':
      return `${terminal.paint('red', event.message)}\n`;
    case 'answered': {
      const mark = event.isDuplicate ? terminal.paint('yellow', ' (duplicate)') : '';
      return `${sizeBytes} bytes from ${peer}: seq=${event.sequence + 1} time=${event.rttMs.toFixed(3)} ms${mark}\n`;
    }
    case 'corrupted': {
      const which = event.sequence === undefined ? '' : ` seq=${event.sequence + 1}`;
      const what = terminal.paint('red', `corrupted from offset ${event.offset} on`);
      return `${event.sizeBytes} bytes from ${peer}:${which} ${what}\n`;
    }
  }
}

/** Returns a function that takes the events of a quiet run and gives the progress line after each. */
function progressLine(count: number): (event: EchoPingEvent) => string {
  const of = count === 0 ? '' : ` of ${count}`;
  let sent = 0;
  let received = 0;
  let corrupted = 0;
  let last = '';
  return (event) => {
    if (event.kind === 'sent') sent += 1;
    if (event.kind === 'corrupted') corrupted += 1;
    if (event.kind === 'answered' && !event.isDuplicate) {
      received += 1;
      last = `, last ${event.rttMs.toFixed(3)} ms`;
    }
    return `${sent}${of} sent, ${received} received${corrupted === 0 ? '' : `, ${corrupted} corrupted`}${last}`;
  };
}

async function* readInput(input: AsyncIterable<Buffer | string>): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of input) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  } catch (error) {
    const { message } = error as Error;
    throw new SmallservdError('ARGUMENT_INVALID', `cannot read standard input: ${message}`, { cause: error });
  }
}
