import { formatHostPort } from '../../address/host-port.ts';
import { largestDatagramBytes } from '../options.ts';
import { stamp } from '../stamp.ts';
import type { StampArrival, StampEvent, StampReplyEvent } from '../stamp-measurement.ts';
import { stampBaseBytes } from '../stamp-packet.ts';
import type { ExitCode } from '../../exit-codes.ts';
import { outcomes } from '../../outcomes.ts';
import { durationOption, wholeNumberOption } from './option-values.ts';
import { withPath } from './path-options.ts';
import { formatStampSummary } from './stamp-summary.ts';
import type { Terminal } from './terminal.ts';
import { clientOptions, type NetworkOptions, printJsonLine, type Tool, withNetwork } from './tool.ts';

interface StampToolOptions extends NetworkOptions {
  readonly count?: number;
  readonly interval?: number;
  readonly size?: number;
  readonly quiet?: true;
}

export const stampTool: Tool = {
  name: 'stamp',
  summary: 'measure delay, jitter and loss with a STAMP or TWAMP Light reflector (RFC 8762)',
  examples: [
    ['stamp localhost:2062', 'one test packet a second, until Ctrl-C'],
    ['stamp -c 100 -i 20ms -q reflector.example', 'port 862, only the summary'],
    ['stamp -c 1 --dscp ef reflector.example', 'does the class of service survive the path?'],
    ['stamp -c 10 --json reflector.example', 'a line of JSON for each reply, and one for the summary'],
  ],
  jsonLines: true,
  hasColors: true,
  define(command, terminal, run) {
    const host = command.argument('<host>', 'HOST or HOST:PORT; default port 862');
    withPath(withNetwork(host, 'the name lookup, and of each reply'))
      .option('-c, --count <n>', 'stop after N test packets (default: at Ctrl-C)', wholeNumberOption(1, 2 ** 32))
      .option('-i, --interval <duration>', 'wait this long between test packets (default: 1s)', durationOption)
      .option(
        '-s, --size <bytes>',
        'bytes of a test packet (default: 52; fewer have no Class of Service)',
        wholeNumberOption(stampBaseBytes, largestDatagramBytes.ipv6),
      )
      .option('-q, --quiet', 'do not print a line for each reply')
      .action(run((target: string, options: StampToolOptions) => measure(target, options, terminal)));
  },
};

async function measure(host: string, options: StampToolOptions, terminal: Terminal): Promise<ExitCode> {
  const isJson = options.json === true;
  let peer = '';
  const result = await stamp(host, {
    ...clientOptions(options, terminal),
    count: options.count,
    intervalMs: options.interval,
    sizeBytes: options.size,
    connected: ({ address, port }) => {
      peer = formatHostPort(address, port);
      if (!isJson) terminal.print(`stamp ${peer}\n`);
    },
    observe: (event) => {
      if (event.kind === 'sent' || options.quiet === true) return;
      if (isJson) printJsonLine(terminal, event);
      else terminal.print(`${describe(event, peer, terminal)}\n`);
    },
  });
  const { outcome, ...summary } = result;
  if (isJson) printJsonLine(terminal, { kind: 'summary', outcome, error: result.problem, ...summary });
  else terminal.print(`\n${formatStampSummary(peer, result)}`);
  if (result.problem !== undefined) terminal.complain(result.problem);
  return outcomes[outcome];
}

type Happening = Exclude<StampEvent, { kind: 'sent' }>;

function describe(event: Happening, peer: string, terminal: Terminal): string {
  switch (event.kind) {
    case 'reply': {
      const mark = event.isDuplicate ? terminal.paint('yellow', ' (duplicate)') : '';
      const times = `time=${event.rttMs.toFixed(3)} ms${oneWay(event)} reflector=${event.reflectorMs.toFixed(3)} ms`;
      return `${event.bytes} bytes from ${peer}: seq=${event.sequence + 1} ${times}${ends(event)}${mark}`;
    }
    case 'wrong':
      return `${event.bytes} bytes from ${peer}: ${terminal.paint('red', 'not a reply to a test packet of this run')}`;
    case 'refused':
      return terminal.paint('red', event.message);
  }
}

function oneWay({ forwardMs, backwardMs }: StampReplyEvent): string {
  if (forwardMs === undefined || backwardMs === undefined) return '';
  return ` there=${forwardMs.toFixed(3)} ms back=${backwardMs.toFixed(3)} ms`;
}

/** How the packets arrived there and here: ` ttl=62/62 dscp=46/0`. */
function ends({ forward, backward }: StampReplyEvent): string {
  const pair = (name: keyof StampArrival): string => {
    if (forward[name] === undefined && backward[name] === undefined) return '';
    return ` ${name}=${forward[name] ?? '?'}/${backward[name] ?? '?'}`;
  };
  return pair('ttl') + pair('dscp');
}
