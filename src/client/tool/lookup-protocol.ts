import { lookupProtocol } from '../lookup-protocol.ts';
import { printJson, type Tool, withJson } from './tool.ts';

export const lookupProtocolTool: Tool = {
  name: 'lookup-protocol',
  summary: 'print the number of an IP protocol, or the protocol of a number, by /etc/protocols',
  examples: [
    ['lookup-protocol icmp', 'the number of a name or alias'],
    ['lookup-protocol 17', 'the name of a number'],
  ],
  define(command, terminal, run) {
    withJson(command.argument('<protocol>', 'a name, an alias or a number')).action(
      run(async (protocol: string, options: { readonly json?: true }) => {
        const entry = await lookupProtocol(protocol);
        if (options.json === true) return printJson(terminal, entry);
        terminal.print(`${/^\d+$/.test(protocol) ? entry.name : entry.number}\n`);
      }),
    );
  },
};
