import { Argument } from 'commander';
import { lookupPort, portNetworks } from '../lookup-port.ts';
import { type JsonOptions, printResult, type Tool, withJson } from './tool.ts';

export const lookupPortTool: Tool = {
  name: 'lookup-port',
  summary: 'print the port of a service, or the service of a port, from /etc/services',
  examples: [
    ['lookup-port tcp telnet', 'the port of a name or alias'],
    ['lookup-port udp 13', 'the name of a port'],
  ],
  define(command, terminal, run) {
    const network = new Argument('<network>', 'tcp or udp, for either family or for one').choices(portNetworks);
    withJson(command.addArgument(network).argument('<service>', 'a name, an alias or a port')).action(
      run(async (given: string, service: string, options: JsonOptions) => {
        const { name, port, ...rest } = await lookupPort(given, service);
        printResult(terminal, options, { name, port, ...rest }, () => `${/^\d+$/.test(service) ? name : port}\n`);
      }),
    );
  },
};
