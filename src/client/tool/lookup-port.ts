import { Argument } from 'commander';
import { lookupPort, portTransports } from '../lookup-port.ts';
import { type JsonOptions, printResult, type Tool, withJson } from './tool.ts';

export const lookupPortTool: Tool = {
  name: 'lookup-port',
  summary: 'print the port of a service, or the service of a port, from /etc/services',
  examples: [
    ['lookup-port tcp telnet', 'the port of a name or alias'],
    ['lookup-port udp 13', 'the name of a port'],
  ],
  define(command, terminal, run) {
    const transport = new Argument('<transport>', 'tcp or udp; a 4 or 6 at the end names one address family');
    transport.choices(portTransports);
    withJson(command.addArgument(transport).argument('<service>', 'a name, an alias or a port')).action(
      run(async (given: string, service: string, options: JsonOptions) => {
        const { name, port, ...rest } = await lookupPort(given, service);
        printResult(terminal, options, { name, port, ...rest }, () => `${/^\d+$/.test(service) ? name : port}\n`);
      }),
    );
  },
};
