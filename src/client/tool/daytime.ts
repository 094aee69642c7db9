import { daytime } from '../daytime.ts';
import {
  clientOptions,
  type NetworkOptions,
  printDocument,
  type Tool,
  warnOfLostRequest,
  withProtocol,
} from './tool.ts';

export const daytimeTool: Tool = {
  name: 'daytime',
  summary: 'ask for the date and time as text (RFC 867)',
  examples: [
    ['daytime localhost:1200', 'over TCP'],
    ['daytime -u -4 time.example', 'over UDP and IPv4, on port 13'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 13')).action(
      run(async (host: string, options: NetworkOptions) => {
        const result = await daytime(host, clientOptions(options, terminal));
        warnOfLostRequest(terminal, result);
        if (options.json === true) return printDocument(terminal, result);
        await terminal.printPeer(Buffer.from(`${result.text}\n`, 'latin1'));
      }),
    );
  },
};
