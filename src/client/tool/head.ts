import { head } from '../head.ts';
import { withPath } from './path-options.ts';
import { clientOptions, judgeFault, type NetworkOptions, printDocument, type Tool, withNetwork } from './tool.ts';

export const headTool: Tool = {
  name: 'head',
  summary: 'send an HTTP HEAD request over plain TCP and print the response unchanged',
  examples: [
    ['head localhost:8080', 'asks for /'],
    ['head -4 --path /index.html www.example', 'over IPv4, on port 80'],
  ],
  define(command, terminal, run) {
    withPath(
      withNetwork(
        command
          .argument('<host>', 'HOST or HOST:PORT; default port 80')
          .option('--path <path>', 'path to request', '/'),
      ),
    ).action(
      run(async (host: string, options: NetworkOptions & { readonly path: string }) => {
        const answer = await head(host, { ...clientOptions(options, terminal), path: options.path });
        const fault = answer.fault === undefined ? undefined : { outcome: answer.outcome, error: answer.fault };
        if (options.json === true) printDocument(terminal, answer, fault);
        else await terminal.printPeer(Buffer.from(answer.text, 'latin1'));
        return judgeFault(terminal, fault);
      }),
    );
  },
};
