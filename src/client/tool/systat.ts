import { systat } from '../systat.ts';
import { printText } from './text.ts';
import { clientOptions, type NetworkOptions, type Tool, withProtocol } from './tool.ts';

export const systatTool: Tool = {
  name: 'systat',
  summary: 'ask who is logged in (RFC 866)',
  examples: [
    ['systat localhost:1211', 'over TCP'],
    ['systat -u localhost:1211', 'over UDP: all datagrams of the list'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 11')).action(
      run(async (host: string, options: NetworkOptions) =>
        printText(terminal, await systat(host, clientOptions(options, terminal)), options),
      ),
    );
  },
};
