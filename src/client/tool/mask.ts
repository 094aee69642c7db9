import { mask } from '../mask.ts';
import { formatFacts } from './facts.ts';
import { type JsonOptions, printResult, type Tool, withJson } from './tool.ts';

export const maskTool: Tool = {
  name: 'mask',
  summary: 'apply a mask to an address: network, hosts, broadcast',
  examples: [
    ['mask 192.0.2.70/26', 'with a prefix length'],
    ['mask 192.0.2.70 255.255.255.192', 'with a mask'],
    ['mask 127.0.0.1', 'with the default mask of its class'],
    ['mask 2001:db8::1/56', 'IPv6'],
  ],
  define(command, terminal, run) {
    const plain = 'an address, or ADDRESS/PREFIX, or ADDRESS/MASK; IPv6 needs a prefix or mask';
    withJson(command.argument('<address>', plain).argument('[mask]', '255.255.255.0 or 24')).action(
      run(async (address: string, separateMask: string | undefined, options: JsonOptions) =>
        printResult(terminal, options, await mask(address, separateMask), (answer) =>
          formatFacts([
            ['address', answer.address],
            ['class', answer.class],
            ['mask', answer.mask],
            ['in hex', `0x${answer.hexMask}`],
            ['prefix', `/${answer.prefix}`],
            ['network', answer.network],
            ['host part', answer.hostPart],
            ['broadcast', answer.broadcast],
            ['first host', answer.firstHost],
            ['last host', answer.lastHost],
            ['hosts', answer.hosts.toString()],
          ]),
        ),
      ),
    );
  },
};
