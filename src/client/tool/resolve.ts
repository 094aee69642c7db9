import { Option } from 'commander';
import { resolve } from '../resolve.ts';
import type { ClientOptions } from '../options.ts';
import { clientOptions, type NetworkOptions, printResult, type Tool, withNetwork } from './tool.ts';

export const resolveTool: Tool = {
  name: 'resolve',
  summary: 'print the address the system prefers for a host',
  examples: [
    ['resolve localhost', 'of either family'],
    ['resolve --family ipv6 localhost', 'IPv6, the same as -6'],
  ],
  define(command, terminal, run) {
    const family = new Option('--family <family>', 'address families to consider (default: both)')
      .choices(['both', 'ipv4', 'ipv6'])
      .conflicts(['4', '6']);
    withNetwork(command.argument('<host>', 'a name or an address').addOption(family), 'the name lookup').action(
      run(async (host: string, options: NetworkOptions & { readonly family?: ClientOptions['family'] }) => {
        const network = clientOptions(options, terminal);
        const answer = await resolve(host, { ...network, family: options.family ?? network.family });
        printResult(terminal, options, answer, ({ address }) => `${address}\n`);
      }),
    );
  },
};
