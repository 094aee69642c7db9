import { largestDatagramBytes } from '../options.ts';
import { ping } from '../ping.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { wholeNumberOption } from './option-values.ts';
import { withRoute } from './path-options.ts';
import { JsonPingReport, TextPingReport } from './ping-report.ts';
import { type RequestProgress, withProgress } from './progress.ts';
import { type SampleOptions, withSamples } from './sample-options.ts';
import { measureTargets, type ToolTarget, withTargets } from './targets.ts';
import type { Terminal } from './terminal.ts';
import { clientOptions, type NetworkOptions, noteText, type Tool, withNetwork } from './tool.ts';

interface PingToolOptions extends NetworkOptions, SampleOptions {
  readonly size?: number;
  readonly ttl?: number;
}

export const pingTool: Tool = {
  name: 'ping',
  summary: 'send ICMP echo requests and check the replies (RFC 792, RFC 4443)',
  examples: [
    ['ping localhost', 'one request a second, until Ctrl-C'],
    ['ping -6 -c 1 -s 1400 -q host.example', '1400 bytes over IPv6, only the summary'],
    ['ping -c 1 -t 2 -W 1 host.example', 'which router is the second hop?'],
    ['ping -D -i 0.2 -w 60 a.example b.example', 'two hosts side by side, for a minute'],
  ],
  jsonLines: true,
  hasColors: true,
  define(command, terminal, run) {
    const described = withTargets(command, 'a name or an address, or several');
    const network = withNetwork(described, 'the name lookup, and of each reply');
    withSamples(network, 'stop after N requests (default: at Ctrl-C)', wholeNumberOption(1))
      .option(
        '-s, --size <bytes>',
        'bytes of data in a request (default: 56)',
        wholeNumberOption(0, largestDatagramBytes.ipv6),
      )
      .option(
        '-t, --ttl <n>',
        'time to live (hop limit) of requests (default: that of the system)',
        wholeNumberOption(1, 255),
      );
    withRoute(command)
      .addHelpText(
        'after',
        noteText('\nRaw sockets need root or CAP_NET_RAW. Exit code 0: at least one correct reply; 1: none.', terminal),
      )
      .action(
        run((hosts: readonly string[], options: PingToolOptions) =>
          withProgress(hosts, options, options.quiet === true, terminal, (progress) =>
            measureTargets('ping', hosts, options, terminal, (target) => pingHost(target, options, terminal, progress)),
          ),
        ),
      );
  },
};

async function pingHost(
  target: ToolTarget,
  options: PingToolOptions,
  terminal: Terminal,
  progress: RequestProgress,
): Promise<ExitCode> {
  const report = new (options.json === true ? JsonPingReport : TextPingReport)(terminal, target, options);
  const result = await ping(target.host, {
    ...clientOptions(options, terminal),
    attempts: target.attempts,
    count: options.count,
    intervalMs: options.interval,
    deadlineMs: options.deadline,
    sizeBytes: options.size,
    ttl: options.ttl,
    observe: (event) => {
      if (event.kind === 'reply' && !event.isDuplicate) progress.answered(event.rttMs, event.isLate);
      else if (event.kind === 'silence' || event.kind === 'error') progress.lost();
      report.observe(event);
    },
  });
  report.ended(result);
  if (result.outcome === 'interrupted') return exitCodes.interrupted;
  return result.outcome === 'ok' ? exitCodes.stopped : exitCodes.failed;
}
