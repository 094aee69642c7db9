import { Option } from 'commander';
import { type Chargen, chargen, mostLineBytes } from '../chargen.ts';
import type { Deviation } from '../chargen-pattern.ts';
import type { Outcome } from '../../outcomes.ts';
import { sizeOption, wholeNumberOption } from './option-values.ts';
import {
  clientOptions,
  type Fault,
  judgeFault,
  type NetworkOptions,
  printDocument,
  type Tool,
  withProtocol,
} from './tool.ts';
import { formatTransfer, showTransfer } from './transfer.ts';

interface ChargenToolOptions extends NetworkOptions {
  readonly bytes?: number;
  readonly lines?: number;
  readonly verify?: true;
}

/** Enough for the pattern to repeat 149 times. */
const verifiedBytes = 1024 * 1024;
const lineFeed = 0x0a;

const steps = 'name lookup, connection and first bytes together, and of each wait after that';

export const chargenTool: Tool = {
  name: 'chargen',
  summary: 'receive characters and print them, or check their pattern (RFC 864)',
  examples: [
    ['chargen localhost:1219', 'ten lines'],
    ['chargen localhost:1219 --bytes 1MiB | wc -c', '1 MiB, for another program'],
    ['chargen localhost:1219 --verify', 'check 1 MiB instead of printing it'],
    ['chargen -u localhost:1219', 'one datagram of 0 to 512 bytes'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 19'), steps)
      .addOption(new Option('--bytes <size>', 'stop after N bytes').argParser(sizeOption).conflicts('lines'))
      .addOption(
        new Option('--lines <count>', 'stop after N lines of at most 64 KiB (default: 10)').argParser(
          wholeNumberOption(1),
        ),
      )
      .option('--verify', 'check the pattern instead of printing it; by default the first 1 MiB')
      .action(
        run(async (host: string, options: ChargenToolOptions) => {
          const isQuiet = options.verify === true || options.json === true;
          const amount = amountOf(options);
          let last = lineFeed;
          const print = async (bytes: Uint8Array): Promise<void> => {
            last = bytes.at(-1) ?? last;
            await terminal.printPeer(bytes);
          };
          const result = await chargen(host, {
            ...clientOptions(options, terminal),
            ...amount,
            verify: options.verify === true,
            onBytes: isQuiet ? undefined : print,
            onProgress: isQuiet || !terminal.isTerminal ? showTransfer(terminal, amount.bytes) : undefined,
          });
          const fault = faultOf(result, isQuiet);
          if (options.json === true) printDocument(terminal, result, fault);
          else if (options.verify === true) {
            const verdict = result.end === 'enough' ? ': all match RFC 864' : '';
            terminal.print(`${formatTransfer(result)}${verdict}\n`);
          } else if (terminal.isTerminal && last !== lineFeed) terminal.print('\n');
          return judgeFault(terminal, fault);
        }),
      );
  },
};

function amountOf({ bytes, lines, verify, udp }: ChargenToolOptions): { bytes?: number; lines?: number } {
  if (bytes !== undefined) return { bytes };
  if (lines !== undefined) return { lines };
  return verify === true && udp !== true ? { bytes: verifiedBytes } : {};
}

const outcomesOfEnds: Readonly<Record<Chargen['end'], Outcome>> = {
  enough: 'ok',
  deviation: 'wrong-answer',
  'endless-line': 'wrong-answer',
  finished: 'wrong-answer',
  reset: 'reset',
  timeout: 'timeout',
  interrupted: 'interrupted',
};

/** What is wrong with the stream, or how it ended early. */
function faultOf(result: Chargen, isQuiet: boolean): Fault {
  const figures = isQuiet ? `after ${result.bytes} bytes` : `after ${formatTransfer(result)}`;
  const errors: Readonly<Record<Chargen['end'], string | undefined>> = {
    enough: undefined,
    deviation: result.deviation === undefined ? undefined : describeDeviation(result.deviation),
    'endless-line': `the server sent a line of more than ${mostLineBytes} bytes, stopped ${figures}`,
    finished: `the server closed ${figures}, but a chargen stream must not end`,
    reset: `the server reset the connection ${figures}`,
    timeout: `the server fell silent ${figures}`,
    interrupted: `interrupted ${figures}`,
  };
  return { outcome: outcomesOfEnds[result.end], error: errors[result.end] };
}

function describeDeviation({ offset, expected, got }: Deviation): string {
  const wanted = expected === undefined ? 'the end of the datagram' : describeByte(expected);
  return `not the pattern of RFC 864: at offset ${offset} expected ${wanted}, got ${describeByte(got)}`;
}

/** `0x41 "A"`. */
function describeByte(byte: number): string {
  const hexadecimal = `0x${byte.toString(16).padStart(2, '0')}`;
  return byte >= 0x20 && byte < 0x7f ? `${hexadecimal} ${JSON.stringify(String.fromCharCode(byte))}` : hexadecimal;
}
