import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { formatHostPort } from '../../address/host-port.ts';
import { patternPieces } from '../chargen-pattern.ts';
import { discard } from '../discard.ts';
import type { Discarded } from '../discarded.ts';
import { largestDatagramBytes } from '../options.ts';
import { SmallservdError } from '../../errors.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { sizeOption, wholeNumberOption } from './option-values.ts';
import type { Terminal } from './terminal.ts';
import {
  clientOptions,
  type Fault,
  judgeFault,
  type NetworkOptions,
  printResult,
  type Tool,
  withProtocol,
} from './tool.ts';
import { formatTransfer, showTransfer } from './transfer.ts';

interface DiscardToolOptions extends NetworkOptions {
  readonly bytes?: number;
  readonly size: number;
}

const steps = 'name lookup and connection together, and of each wait for the server after that';

export const discardTool: Tool = {
  name: 'discard',
  summary: 'send bytes to be discarded, and measure the throughput (RFC 863)',
  examples: [
    ['discard localhost:1209 --bytes 100MiB', 'a pattern'],
    ['discard localhost:1209 notes.txt', 'a file'],
    ['discard localhost:1209 < FILE', 'standard input'],
    ['discard -u localhost:1209 --bytes 1MiB --size 1400', 'datagrams of 1400 bytes'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 9'), steps)
      .argument('[file]', 'file to send; default: standard input, unless it is a terminal')
      .option('--bytes <size>', 'send N bytes of a pattern', sizeOption)
      .option(
        '-s, --size <bytes>',
        'size of a datagram, with --udp',
        wholeNumberOption(1, largestDatagramBytes.ipv6),
        512,
      )
      .action(
        run(async (host: string, file: string | undefined, options: DiscardToolOptions) => {
          const { source, bytes } = await openSource(terminal, file, options);
          const result = await discard(host, source, {
            ...clientOptions(options, terminal),
            datagramBytes: options.size,
            onProgress: showTransfer(terminal, bytes),
          }).catch((error: unknown) => {
            throw isReadError(error) ? unreadable(file, error) : error;
          });
          const fault = faults[result.end];
          printResult(terminal, options, result, describe, fault);
          return judgeFault(terminal, fault);
        }),
      );
  },
};

interface Source {
  readonly source: Readable;
  /** The size of the input, if known. */
  readonly bytes: number | undefined;
}

async function openSource(
  terminal: Terminal,
  file: string | undefined,
  { bytes }: DiscardToolOptions,
): Promise<Source> {
  if (file !== undefined && bytes !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', 'discard sends --bytes or a file, not both');
  if (bytes !== undefined) return { source: Readable.from(patternPieces(bytes)), bytes };
  if (file !== undefined) return openFile(file);
  if (terminal.input.isTTY)
    throw new SmallservdError(
      'ARGUMENT_INVALID',
      'discard has nothing to send: expected --bytes, a file, or input from a pipe or file',
    );
  return { source: terminal.input, bytes: undefined };
}

async function openFile(path: string): Promise<Source> {
  try {
    const file = await open(path);
    const { size } = await file.stat();
    return { source: file.createReadStream(), bytes: size };
  } catch (error) {
    throw unreadable(path, error as Error);
  }
}

function isReadError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && error.syscall === 'read';
}

function unreadable(file = 'standard input', cause: Error): SmallservdError {
  const reason = describeSystemError(cause, 'file');
  return new SmallservdError('ARGUMENT_INVALID', `cannot read ${file}: ${reason}`, { cause });
}

function describe(result: Discarded): string {
  const peer = formatHostPort(result.peer.address, result.peer.port);
  if (result.datagrams === undefined) return `${peer}: ${formatTransfer(result)}\n`;
  const datagrams = `${result.datagrams} ${result.datagrams === 1 ? 'datagram' : 'datagrams'}`;
  const unknown = result.end === 'sent' ? '\nno errors reported; UDP does not confirm delivery' : '';
  return `${peer}: ${datagrams}, ${formatTransfer(result)}${unknown}\n`;
}

const faults: Readonly<Record<Discarded['end'], Fault | undefined>> = {
  discarded: undefined,
  sent: undefined,
  answered: { outcome: 'wrong-answer', error: 'the server sent data back: it is not a discard service' },
  finished: { outcome: 'wrong-answer', error: 'the server closed before everything was sent' },
  reset: { outcome: 'reset', error: 'the server reset the connection' },
  timeout: { outcome: 'timeout', error: 'the server did not finish reading and close in time' },
  interrupted: { outcome: 'interrupted', error: 'interrupted' },
};
