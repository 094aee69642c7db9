import { qotd } from '../qotd.ts';
import { printText } from './text.ts';
import { clientOptions, type NetworkOptions, type Tool, warnOfLostRequest, withProtocol } from './tool.ts';

export const qotdTool: Tool = {
  name: 'qotd',
  summary: 'ask for the quotation of the day (RFC 865)',
  examples: [
    ['qotd localhost:1217', 'over TCP'],
    ['qotd -u localhost:1217', 'over UDP; smallservd then picks a short one'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 17')).action(
      run(async (host: string, options: NetworkOptions) => {
        const result = await qotd(host, clientOptions(options, terminal));
        warnOfLostRequest(terminal, result);
        return printText(terminal, result, options);
      }),
    );
  },
};
