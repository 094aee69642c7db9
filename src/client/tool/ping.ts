import { mostPingBytes, ping, type PingEvent } from '../ping.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { formatDuration } from '../../units.ts';
import { durationOption, wholeNumberOption } from './option-values.ts';
import { withRoute } from './path-options.ts';
import { formatRoundTrips } from './round-trips.ts';
import type { Terminal } from './terminal.ts';
import { clientOptions, type NetworkOptions, printResult, type Tool, withNetwork } from './tool.ts';

interface PingToolOptions extends NetworkOptions {
  readonly count?: number;
  readonly interval?: number;
  readonly size?: number;
  readonly ttl?: number;
  readonly quiet?: true;
}

export const pingTool: Tool = {
  name: 'ping',
  summary: 'send ICMP echo requests and check the replies (RFC 792, RFC 4443)',
  examples: [
    ['ping localhost', 'one request a second, until Ctrl-C'],
    ['ping -6 -c 1 -s 1400 -q host.example', '1400 bytes over IPv6, only the summary'],
    ['ping -c 1 --ttl 2 --timeout 1s host.example', 'which router is the second hop?'],
  ],
  define(command, terminal, run) {
    withNetwork(command.argument('<host>', 'a name or an address'), 'the name lookup, and of each reply')
      .option('-c, --count <n>', 'stop after N requests (default: at Ctrl-C)', wholeNumberOption(1))
      .option('-i, --interval <duration>', 'wait this long between requests (default: 1s)', durationOption)
      .option('-s, --size <bytes>', 'bytes of data in a request (default: 56)', wholeNumberOption(0, mostPingBytes))
      .option(
        '-t, --ttl <n>',
        'time to live (hop limit) of requests (default: that of the system)',
        wholeNumberOption(1, 255),
      )
      .option('-q, --quiet', 'do not print a line for each reply');
    withRoute(command)
      .addHelpText('after', '\nRaw sockets need root or CAP_NET_RAW. Exit code 0: at least one correct reply; 1: none.')
      .action(run((host: string, options: PingToolOptions) => pingHost(host, options, terminal)));
  },
};

async function pingHost(host: string, options: PingToolOptions, terminal: Terminal): Promise<ExitCode> {
  const isLineWanted = options.quiet !== true && options.json !== true;
  let address = '';
  const result = await ping(host, {
    ...clientOptions(options, terminal),
    count: options.count,
    intervalMs: options.interval,
    sizeBytes: options.size,
    ttl: options.ttl,
    observe: (event) => {
      if (event.kind === 'started') {
        address = event.address;
        if (options.json !== true) terminal.print(`ping ${nameBoth(host, address)}, ${event.sizeBytes} bytes\n`);
      } else if (isLineWanted) terminal.print(`${describe(event, address, options.timeout, terminal)}\n`);
    },
  });
  const name = nameBoth(host, address);
  printResult(terminal, options, result, (ended) => `\n${formatRoundTrips(name, ended, ended.elapsedMs)}`, {
    outcome: result.outcome,
  });
  if (result.outcome === 'interrupted') return exitCodes.interrupted;
  return result.outcome === 'ok' ? exitCodes.stopped : exitCodes.failed;
}

function nameBoth(host: string, address: string): string {
  return host === address || host === `[${address}]` ? address : `${host} (${address})`;
}

type Happening = Exclude<PingEvent, { kind: 'started' }>;

function describe(event: Happening, address: string, timeoutMs: number, terminal: Terminal): string {
  const number = `icmp_seq=${event.sequence}`;
  switch (event.kind) {
    case 'reply': {
      const ttl = event.ttl === undefined ? '' : ` ttl=${event.ttl}`;
      const marks = `${event.isDuplicate ? ' (DUP!)' : ''}${event.isLate ? ' (late)' : ''}`;
      const time = `time=${formatTime(event.rttMs)} ms${marks === '' ? '' : terminal.paint('yellow', marks)}`;
      return `${event.bytes} bytes from ${address}: ${number}${ttl} ${time}`;
    }
    case 'corrupted': {
      const what = event.offset === undefined ? 'wrong checksum' : `wrong data from byte ${event.offset} on`;
      return `From ${address} ${number} ${terminal.paint('red', what)}`;
    }
    case 'error': {
      const from = event.from === undefined ? '' : `From ${event.from} `;
      return `${from}${number} ${terminal.paint('red', event.reason)}`;
    }
    case 'silence':
      return `${number} ${terminal.paint('red', `no answer within ${formatDuration(timeoutMs)}`)}`;
  }
}

/** Like ping(8): three significant digits, but no more than the clock can resolve. */
export function formatTime(ms: number): string {
  return ms.toFixed(ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0);
}
