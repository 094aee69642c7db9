import { lookupCanonicalName, lookupHost } from '../lookup-host.ts';
import { clientOptions, type NetworkOptions, printDocument, printResult, type Tool, withNetwork } from './tool.ts';

export const lookupHostTool: Tool = {
  name: 'lookup-host',
  summary: 'print all addresses of a host, or its canonical name',
  examples: [
    ['lookup-host localhost', 'one address per line'],
    ['lookup-host --cname localhost', 'the name that it is an alias of'],
  ],
  define(command, terminal, run) {
    withNetwork(
      command.argument('<host>', 'a name or an address').option('--cname', 'print the canonical name instead'),
      'the name lookup',
    ).action(
      run(async (host: string, options: NetworkOptions & { readonly cname?: true }) => {
        const network = clientOptions(options, terminal);
        if (options.cname === true) {
          const canonicalName = await lookupCanonicalName(host, network);
          if (options.json === true) return printDocument(terminal, { host, canonicalName });
          return terminal.printPeer(Buffer.from(`${canonicalName}\n`));
        }
        const addresses = await lookupHost(host, network);
        printResult(terminal, options, { host, addresses }, () =>
          addresses.map(({ address }) => `${address}\n`).join(''),
        );
      }),
    );
  },
};
