import { largestDatagramBytes } from '../options.ts';
import { stamp } from '../stamp.ts';
import { stampBaseBytes } from '../stamp/packet.ts';
import type { ExitCode } from '../../exit-codes.ts';
import { outcomes } from '../../outcomes.ts';
import { wholeNumberOption } from './option-values.ts';
import { withPath } from './path-options.ts';
import { type RequestProgress, withProgress } from './progress.ts';
import { type FlowOptions, type SampleOptions, withFlows, withSamples } from './sample-options.ts';
import { JsonStampReport, TextStampReport } from './stamp-report.ts';
import { measureTargets, type ToolTarget, withTargets } from './targets.ts';
import type { Terminal } from './terminal.ts';
import { clientOptions, type NetworkOptions, type Tool, withNetwork } from './tool.ts';

interface StampToolOptions extends NetworkOptions, SampleOptions, FlowOptions {
  readonly size?: number;
}

export const stampTool: Tool = {
  name: 'stamp',
  summary: 'measure delay, jitter and loss with a STAMP or TWAMP Light reflector (RFC 8762)',
  examples: [
    ['stamp localhost:2062', 'one test packet a second, until Ctrl-C'],
    ['stamp -c 100 -i 20ms -q reflector.example', 'port 862, only the summary'],
    ['stamp -c 1 --dscp ef reflector.example', 'does the class of service survive the path?'],
    ['stamp -c 80 -i 0.1 --flows 8 reflector.example', 'from 8 source ports: is a link of a bundle broken?'],
    ['stamp -D -i 0.2 -w 60 a.example b.example', 'two reflectors side by side, for a minute'],
  ],
  jsonLines: true,
  hasColors: true,
  define(command, terminal, run) {
    const described = withTargets(command, 'HOST or HOST:PORT, or several; default port 862');
    const network = withPath(withNetwork(described, 'the name lookup, and of each reply'));
    const count = 'stop after N test packets (default: at Ctrl-C)';
    withFlows(withSamples(network, count, wholeNumberOption(1, 2 ** 32)))
      .option(
        '-s, --size <bytes>',
        'bytes of a test packet (default: 52; fewer have no Class of Service)',
        wholeNumberOption(stampBaseBytes, largestDatagramBytes.ipv6),
      )
      .action(
        run((hosts: readonly string[], options: StampToolOptions) =>
          withProgress(hosts, options, options.quiet === true, terminal, (progress) =>
            measureTargets('stamp', hosts, options, terminal, (target) => measure(target, options, terminal, progress)),
          ),
        ),
      );
  },
};

async function measure(
  target: ToolTarget,
  options: StampToolOptions,
  terminal: Terminal,
  progress: RequestProgress,
): Promise<ExitCode> {
  const report = new (options.json === true ? JsonStampReport : TextStampReport)(terminal, target, options);
  const result = await stamp(target.host, {
    ...clientOptions(options, terminal),
    attempts: target.attempts,
    count: options.count,
    intervalMs: options.interval,
    deadlineMs: options.deadline,
    flows: options.flows,
    sizeBytes: options.size,
    connected: (peer) => report.connected(peer),
    observe: (event) => {
      if (event.kind === 'reply' && !event.isDuplicate)
        progress.answered(event.rttMs, event.rttMs + (event.reflectorMs ?? 0) > options.timeout);
      else if (event.kind === 'silence' || (event.kind === 'refused' && event.sequence !== undefined)) progress.lost();
      report.observe(event);
    },
  });
  report.ended(result);
  if (result.problem !== undefined) terminal.complain(result.problem);
  return outcomes[result.outcome];
}
