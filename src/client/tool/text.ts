import type { Text } from '../text.ts';
import type { ExitCode } from '../../exit-codes.ts';
import type { Terminal } from './terminal.ts';
import { type Fault, judgeFault, type NetworkOptions, printDocument } from './tool.ts';

const faults: Partial<Record<Text['end'], Fault>> = {
  limit: { outcome: 'wrong-answer', error: 'there is more: only the first 64 KiB were read' },
  timeout: { outcome: 'timeout', error: 'the server did not finish: this may not be all' },
};

/** Prints a server's text with local line ends. Returns `failed` if there may be more. */
export async function printText(terminal: Terminal, result: Text, options: NetworkOptions): Promise<ExitCode> {
  if (options.json === true) printDocument(terminal, result, faults[result.end]);
  else if (result.text !== '')
    await terminal.printPeer(Buffer.from(`${result.text.replaceAll('\r\n', '\n')}\n`, 'latin1'));
  return judgeFault(terminal, faults[result.end]);
}
