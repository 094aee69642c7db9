import { lookupProtocol } from '../lookup-protocol.ts';
import { type JsonOptions, printResult, type Tool, withJson } from './tool.ts';

export const lookupProtocolTool: Tool = {
  name: 'lookup-protocol',
  summary: 'print the number of an IP protocol, or the protocol of a number, from /etc/protocols',
  examples: [
    ['lookup-protocol icmp', 'the number of a name or alias'],
    ['lookup-protocol 17', 'the name of a number'],
  ],
  define(command, terminal, run) {
    withJson(command.argument('<protocol>', 'a name, an alias or a number')).action(
      run(async (protocol: string, options: JsonOptions) => {
        const entry = await lookupProtocol(protocol);
        printResult(terminal, options, entry, ({ name, number }) => `${/^\d+$/.test(protocol) ? name : number}\n`);
      }),
    );
  },
};
