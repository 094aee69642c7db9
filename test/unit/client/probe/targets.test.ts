import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mostProbeTargets, parseProbeTargets } from '../../../../src/client/probe/targets.ts';

const lookup = (name: string): number | undefined => ({ echo: 7, 'http-alt': 8080 })[name];

function parsed(...texts: readonly string[]): readonly string[] {
  return parseProbeTargets(texts, 'tcp', lookup).map(({ name }) => name);
}

function failure(...texts: readonly string[]): string {
  try {
    return parsed(...texts).join(' ');
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the targets of probes', () => {
  test.each([
    [['h:80'], ['h:80']],
    [['h:80,443,8000-8002'], ['h:80', 'h:443', 'h:8000', 'h:8001', 'h:8002']],
    [
      ['[2001:db8::1]:7,9', '192.0.2.1:1-1'],
      ['[2001:db8::1]:7', '[2001:db8::1]:9', '192.0.2.1:1'],
    ],
    [['h:echo,http-alt/udp'], ['h:7/udp', 'h:8080/udp']],
    [['h:7/tcp'], ['h:7']],
  ])('%j are %j', (texts, names) => {
    expect(parsed(...texts)).toEqual(names);
  });

  test('are UDP ports if that is usual', () => {
    const targets = parseProbeTargets(['h:7', 'h:7/tcp'], 'udp', lookup);
    expect(targets).toEqual([
      { host: 'h', port: 7, transport: 'udp', name: 'h:7/udp' },
      { host: 'h', port: 7, transport: 'tcp', name: 'h:7' },
    ]);
  });

  test.each([
    ['h', '"h" has no port: expected h:PORT'],
    ['::1:80', '"::1:80" has no port: expected [::1:80]:PORT'],
    ['h:', 'has port ""'],
    ['h:80,', 'has port ""'],
    ['h:0', 'has port "0"'],
    ['h:1-65536', 'has port "65536"'],
    ['h:9-7', '"h:9-7" has the range 9-7: expected the lower port first, as in 7-9'],
    ['h:7/sctp', 'has port "7/sctp"'],
    ['h:7/udp,9', 'has port "7/udp"'],
    ['http://h:80', 'is a URL'],
    ['::1:80-90', 'names no host'],
  ])('are not %s', (text, message) => {
    expect(failure(text)).toContain(message);
  });

  test('are at most all ports of one host', () => {
    expect(parsed('h:1-65535', 'h:1')).toHaveLength(mostProbeTargets);
    expect(failure('h:1-65535', 'h:1,2')).toBe('too many targets: expected at most 65536');
  });

  test('are every port of every part, in order', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    const part = fc.oneof(
      port.map((each) => ({ text: String(each), ports: [each] })),
      fc.tuple(port, fc.nat(20)).map(([first, more]) => {
        const last = Math.min(65_535, first + more);
        const ports = Array.from({ length: last - first + 1 }, (_, index) => first + index);
        return { text: `${first}-${last}`, ports };
      }),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
        const targets = parseProbeTargets([`h:${parts.map(({ text }) => text).join(',')}`], 'tcp');
        expect(targets.map((target) => target.port)).toEqual(parts.flatMap(({ ports }) => ports));
      }),
    );
  });
});
