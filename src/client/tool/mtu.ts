import { formatHostPort } from '../../address/host-port.ts';
import { type MtuResult, mtu } from '../mtu.ts';
import type { DirectionMtu } from '../mtu/path-mtu.ts';
import { formatFacts } from './facts.ts';
import { wholeNumberOption } from './option-values.ts';
import { withProbePath } from './path-options.ts';
import { keepShowing } from './progress.ts';
import type { Terminal } from './terminal.ts';
import { clientOptions, type NetworkOptions, noteText, printResult, type Tool, withNetwork } from './tool.ts';

interface MtuToolOptions extends NetworkOptions {
  readonly icmp?: true;
  readonly tries?: number;
}

export const mtuTool: Tool = {
  name: 'mtu',
  summary: 'measure the path MTU, there and back, with UDP or ICMP echo (RFC 1191, RFC 8201)',
  examples: [
    ['mtu localhost:1201', 'with a UDP echo service'],
    ['mtu --icmp -6 host.example', 'with ICMP echo, which most hosts answer'],
    ['mtu --json --tries 5 echo.example', 'on a path that loses packets'],
  ],
  define(command, terminal, run) {
    const host = command.argument('<host>', 'HOST or HOST:PORT of an echo service; default port 7');
    withProbePath(withNetwork(host, 'the name lookup, and of the first answer'))
      .option('--icmp', 'use ICMP echo; HOST needs no echo service')
      .option('--tries <n>', 'send a packet up to N times if nothing comes back (default: 3)', wholeNumberOption(1, 20))
      .addHelpText('after', noteText('\nSizes are those of IP packets. --icmp needs root or CAP_NET_RAW.', terminal))
      .action(run((target: string, options: MtuToolOptions) => measure(target, options, terminal)));
  },
};

async function measure(host: string, options: MtuToolOptions, terminal: Terminal): Promise<void> {
  let probes = 0;
  let sizeBytes = 0;
  const stopShowing = keepShowing(terminal, (elapsedMs) =>
    probes === 0 ? undefined : `packet ${probes}: ${sizeBytes} bytes, ${Math.floor(elapsedMs / 1000)}s so far`,
  );
  const result = await mtu(host, {
    ...clientOptions(options, terminal),
    icmp: options.icmp,
    tries: options.tries,
    observe: (event) => {
      if (event.kind === 'started') return;
      probes += 1;
      sizeBytes = event.bytes;
    },
  }).finally(stopShowing);
  printResult(terminal, options, result, () => describe(result, terminal.isTerminal ? terminal.columns : undefined));
}

function describe(result: MtuResult, columns: number | undefined): string {
  const { address, port, mtuBytes, headerBytes, forward, backward, largestBytes } = result;
  const peer = port === undefined ? `${address}, ICMP echo` : `${formatHostPort(address, port)}, UDP echo`;
  const inFragments = `${largestBytes} bytes, in fragments (${largestBytes - headerBytes} bytes of data)`;
  const facts = [
    ['path MTU', `${mtuBytes} bytes, there and back in one piece (${mtuBytes - headerBytes} bytes of data)`],
    ['there', `${formatBounds(forward)}${describeForward(result)}`],
    ['back', `${formatBounds(backward)}${describeBackward(result)}`],
    ['largest', largestBytes > mtuBytes ? inFragments : `${mtuBytes} bytes: nothing larger comes back`],
    ['measured', `with ${result.probes} packets to ${peer}`],
  ] as const;
  return formatFacts(facts, columns);
}

function formatBounds({ atLeastBytes, atMostBytes }: DirectionMtu): string {
  if (atMostBytes === undefined) return `at least ${atLeastBytes} bytes`;
  return atLeastBytes === atMostBytes ? `${atLeastBytes} bytes` : `${atLeastBytes} to ${atMostBytes} bytes`;
}

function describeForward({ forward: { limit, router }, isLossAmbiguous }: MtuResult): string {
  if (isLossAmbiguous) return ': larger packets get lost, there or back, and no router says so';
  switch (limit) {
    case 'interface':
      return ': the interface of this machine takes no more';
    case 'router': {
      const { address = '', mtuBytes = 0 } = router ?? {};
      return mtuBytes === 0
        ? `: ${address} says that more is too big`
        : `: ${address} says that its MTU is ${mtuBytes}`;
    }
    case 'black-hole':
      return ': larger packets get lost, and no router says so (a black hole)';
    default:
      return '';
  }
}

function describeBackward({ backward: { isBlackHole, atMostBytes } }: MtuResult): string {
  if (isBlackHole) return ': larger replies get lost, and no router tells the host (a black hole)';
  return atMostBytes === undefined ? '' : ': larger replies come in fragments';
}
