import { ip } from '../ip.ts';
import { formatFacts } from './facts.ts';
import { type JsonOptions, printResult, type Tool, withJson } from './tool.ts';

export const ipTool: Tool = {
  name: 'ip',
  summary: 'describe an IPv4 or IPv6 address',
  examples: [
    ['ip 0:0:0:0:0:0:0:1', 'its canonical form, family and kind'],
    ['ip ::ffff:192.0.2.1', 'also the IPv4 address that it maps to'],
  ],
  define(command, terminal, run) {
    withJson(command.argument('<address>', 'an IPv4 or IPv6 address, without brackets')).action(
      run(async (text: string, options: JsonOptions) =>
        printResult(terminal, options, await ip(text), ({ address, family, kind, mapped }) =>
          formatFacts([
            ['address', address],
            ['family', family],
            ['kind', kind],
            ['maps to', mapped === undefined ? undefined : `${mapped.address} (IPv4, ${mapped.kind})`],
          ]),
        ),
      ),
    );
  },
};
