import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../../src/server/config/load.ts';
import { configOfWords, namesService, type ServiceWords } from '../../../../src/server/config/service-words.ts';
import { sourceOfWords } from '../../../../src/server/config/source.ts';
import { services } from '../../../../src/services/index.ts';

function words(given: readonly string[], around: Partial<ServiceWords> = {}): ServiceWords {
  return { words: given, bind: [], exposeUdp: false, ...around };
}

describe('services named on the command line', () => {
  it.each([
    [['echo:9000'], { 'echo-9000': { type: 'echo', listen: ['tcp://*:9000', 'udp://*:9000'] } }],
    [['time'], { 'time-37': { type: 'time', listen: ['tcp://*:37', 'udp://*:37'] } }],
    [['finger'], { 'finger-79': { type: 'finger', listen: ['tcp://*:79'] } }],
    [['echo:0/udp'], { 'echo-0': { type: 'echo', listen: ['udp://*:0'] } }],
    [
      ['echo:1/tcp', 'daytime:13/udp', 'echo:2/udp', 'echo:1/udp'],
      {
        'echo-1': { type: 'echo', listen: ['tcp://*:1', 'udp://*:1'] },
        'daytime-13': { type: 'daytime', listen: ['udp://*:13'] },
        'echo-2': { type: 'echo', listen: ['udp://*:2'] },
      },
    ],
  ])('%j', (given, expected) => {
    expect(configOfWords(words(given))).toEqual({ services: expected });
  });

  it('listen on the addresses of --bind', () => {
    const bind = ['127.0.0.1', '::1', '[fe80::1%eth0]', 'localhost'];
    expect(configOfWords(words(['echo:7/tcp'], { bind }))).toEqual({
      services: {
        'echo-7': {
          type: 'echo',
          listen: ['tcp://127.0.0.1:7', 'tcp://[::1]:7', 'tcp://[fe80::1%eth0]:7', 'tcp://localhost:7'],
        },
      },
    });
  });

  it('set exposeUdp only where it matters', () => {
    expect(configOfWords(words(['chargen:19', 'echo:7/udp'], { exposeUdp: true }))).toEqual({
      services: {
        'chargen-19': { type: 'chargen', listen: ['tcp://*:19', 'udp://*:19'], exposeUdp: true },
        'echo-7': { type: 'echo', listen: ['udp://*:7'] },
      },
    });
  });

  it.each([
    ['ehco:9000', /^"ehco:9000": unknown service: expected one of echo, .*; did you mean echo\?$/],
    ['toString', /^"toString": unknown service/],
    ['echo:', /^"echo:": expected TYPE\[:PORT\]\[\/tcp\|\/udp\], such as echo:9000$/],
    ['echo:http', /: expected TYPE/],
    ['echo:-1', /: expected TYPE/],
    ['echo/sctp', /: expected TYPE/],
    ['echo/tcp:7', /: expected TYPE/],
    ['/etc/smallservd.yaml', /: expected TYPE/],
    ['\u001b[2J', /^"\\u001b\[2J": expected TYPE/],
    ['', /^"": expected TYPE/],
    ['finger:79/udp', /^"finger:79\/udp": finger answers over TCP only$/],
    ['envelope', /^"envelope": envelope has no assigned port: expected envelope:PORT$/],
    ['echo:65536', /^"echo:65536": port 65536 is too high: expected 0 to 65535$/],
  ])('are refused: %j', (word, message) => {
    expect(() => configOfWords(words([word]))).toThrowError(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
    expect(() => configOfWords(words([word]))).toThrowError(message);
  });

  it.each([
    [['echo:9', 'echo:9'], /^"echo:9": tcp port 9 is already named$/],
    [['echo', 'echo:7/udp'], /^"echo:7\/udp": udp port 7 is already named$/],
  ])('are refused twice: %j', (given, message) => {
    expect(() => configOfWords(words(given))).toThrowError(message);
  });

  it('are a valid config, unless they are refused', async () => {
    const kinds = services.flatMap(({ name, transport }) => {
      const suffixes = transport === undefined ? ['', '/tcp', '/udp'] : ['', `/${transport}`];
      return suffixes.map((suffix) => ({ kind: name, suffix }));
    });
    const port = fc.integer({ min: 1, max: 65_535 });
    const word = fc.tuple(fc.constantFrom(...kinds), port).map(([kind, number]) => ({ ...kind, port: number }));
    const ofDifferentPorts = fc.uniqueArray(word, { minLength: 1, maxLength: 8, selector: (each) => each.port });
    await fc.assert(
      fc.asyncProperty(ofDifferentPorts, async (given) => {
        const texts = given.map(({ kind, port: number, suffix }) => `${kind}:${number}${suffix}`);
        const source = sourceOfWords(words(texts, { exposeUdp: true }), {}, [], '/');
        const { config } = await loadConfig(source, { importModules: false });
        expect(config.services.map(({ type }) => type)).toEqual(given.map(({ kind }) => kind));
      }),
      { numRuns: 30 },
    );
  });

  it.each([
    ['echo', true],
    ['echo:9000', true],
    ['ehco:9000', true],
    ['ehco/udp', true],
    ['ehco', false],
    ['./echo', false],
    ['one.yaml', false],
    ['etc/udp.yaml', false],
  ])('are told from mistyped commands: %s', (word, expected) => {
    expect(namesService(word)).toBe(expected);
  });
});
