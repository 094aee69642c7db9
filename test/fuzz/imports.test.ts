/** Whatever the config of an inetd says, it becomes a valid config or an error of ours. Nothing is opened wider. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cidr, parseCidr } from '../../src/address/cidr.ts';
import { formatIp, type IpAddress } from '../../src/address/ip-address.ts';
import { lookupServicePort } from '../../src/address/service-ports.ts';
import { SmallservdError } from '../../src/errors.ts';
import { isDenied } from '../../src/server/guard/access-list.ts';
import { arrange } from '../../src/server/import/arrange.ts';
import { configText } from '../../src/server/import/config-text.ts';
import { detectFormat } from '../../src/server/import/format.ts';
import type { Imported } from '../../src/server/import/imported.ts';
import { parseInetdConf } from '../../src/server/import/inetd-conf.ts';
import { inetdDialects } from '../../src/server/import/inetd-dialect.ts';
import { readXinetdSections } from '../../src/server/import/xinetd-files.ts';
import { importXinetdSections } from '../../src/server/import/xinetd-services.ts';
import { loadConfig } from '../../src/server/config/load.ts';

const dialects = fc.constantFrom(undefined, ...inetdDialects);

async function readXinetd(text: string): Promise<Imported> {
  const { sections } = await readXinetdSections(text, 'x', async () => '');
  return importXinetdSections(sections, lookupServicePort, { refuseClients: false });
}

/** Imports the text, and loads the result. Returns the number of services. */
async function importAndLoad(read: () => Promise<Imported> | Imported): Promise<number> {
  let text: string;
  try {
    const arranged = arrange(await read());
    if (arranged.services.length === 0) return 0;
    text = configText(arranged, 'x');
  } catch (error) {
    if (!(error instanceof SmallservdError) || error.code !== 'IMPORT_INVALID') throw error;
    expect(error.message).toMatch(/^x:\d+: /);
    return 0;
  }
  const { config } = await loadConfig(
    { name: 'x.yaml', directory: '/nonexistent', text, env: {}, sets: [] },
    { importModules: false },
  );
  return config.services.length;
}

const hosts = ['', '*:', '127.0.0.1:', '10.0.0.1,10.0.0.2:', '[::1]:', '::1:', ',:', 'a.example:', '224.0.0.1:', '%:'];
const names = ['echo', 'discard', 'chargen', 'daytime', 'time', 'qotd', '7', 'tcpmux/x', '__proto__', '#<off>#', '#@'];
const inetdLines = fc
  .record({
    start: fc.constantFrom('', '', '', ' ', '\t', '#', '#<off># '),
    host: fc.constantFrom(...hosts),
    name: fc.constantFrom(...names),
    transport: fc.constantFrom('stream tcp', 'dgram udp', 'stream udp', 'raw tcp'),
    family: fc.constantFrom('', '4', '6', '46', '6only', ',rcvbuf=1k', 'x', 'constructor'),
    wait: fc.constantFrom('nowait', 'wait', 'wait.40', 'nowait/5', 'nowait/5/6/7', 'nowait/99999999999', 'x'),
    end: fc.constantFrom(' root internal', ' root /bin/x x', ' root', ' root internal # x', ''),
  })
  .map(({ start, host, name, transport, family, wait, end }) =>
    [start, host, name, ' ', transport, family, ' ', wait, end].join(''),
  );

const operators = fc.constantFrom(' = ', ' += ', ' -= ', '=', ' =');
const addresses = fc.constantFrom(
  ...'0.0.0.0 10.0.0.0 10.0.0.1 10.0.0.{1,2} 10.0.{0,1} {10,11} 10.1.2.3/9 0.0.0.0/0 ::/0'.split(' '),
  ...':: ::1 fd00::/8 ::ffff:10.0.0.1 ::/90 a.example .example 10.0.0.0/255.0.0.0 10.0.0.1,'.split(' '),
);
const attributes = fc.oneof(
  fc
    .tuple(fc.constantFrom('only_from', 'no_access'), operators, fc.array(addresses, { maxLength: 4 }))
    .map(([name, operator, values]) => `${name}${operator}${values.join(' ')}`),
  fc
    .tuple(
      fc.constantFrom(
        ...'instances per_source cps port bind interface flags type id disable wait'.split(' '),
        ...'socket_type protocol v6only enabled disabled log_type access_times toString x'.split(' '),
      ),
      operators,
      fc.array(
        fc.constantFrom(
          ...'0 1 10 7 99999999999 UNLIMITED yes no IPv4 IPv6 INTERNAL UNLISTED'.split(' '),
          ...'stream dgram tcp udp echo 127.0.0.1 ::1 :: 0.0.0.0 localhost a.example'.split(' '),
        ),
        { maxLength: 3 },
      ),
    )
    .map(([name, operator, values]) => `${name}${operator}${values.join(' ')}`),
  fc.string({ maxLength: 20 }),
);
const xinetdSections = fc
  .record({
    head: fc.constantFrom(
      'service echo',
      'service chargen',
      'service time',
      'service daytime',
      'service ftp',
      'defaults',
    ),
    usual: fc.constantFrom(
      'type = INTERNAL\nwait = no\nsocket_type = stream\n',
      'type = INTERNAL\nwait = yes\nprotocol = udp\n',
      'type = INTERNAL UNLISTED\nport = 7007\nwait = no\nprotocol = tcp\n',
      '',
    ),
    attributes: fc.array(attributes, { maxLength: 4 }),
    foot: fc.constantFrom('}', '}', '}', ''),
  })
  .map((each) => {
    const usual = each.head === 'defaults' ? '' : each.usual;
    return `${each.head}\n{\n${usual}${each.attributes.map((line) => `${line}\n`).join('')}${each.foot}\n`;
  });

describe('an imported config is valid, or the error is ours', () => {
  test('for anything like an inetd.conf', async () => {
    let served = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(inetdLines, { minLength: 1, maxLength: 12 }), dialects, async (lines, dialect) => {
        served += await importAndLoad(() =>
          parseInetdConf(lines.join('\n'), 'x', dialect, lookupServicePort, { refuseClients: false }),
        );
      }),
      { numRuns: 500 },
    );
    expect(served).toBeGreaterThan(0);
  });

  test('for anything like a xinetd.conf', async () => {
    let served = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(xinetdSections, { minLength: 1, maxLength: 6 }), async (sections) => {
        served += await importAndLoad(() => readXinetd(sections.join('')));
      }),
      { numRuns: 1000 },
    );
    expect(served).toBeGreaterThan(0);
  });

  test('for any text', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 }));
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        await importAndLoad(() => {
          detectFormat(content, 'x');
          return parseInetdConf(content, 'x', undefined, lookupServicePort, { refuseClients: false });
        });
        await importAndLoad(() => readXinetd(content));
      }),
      { numRuns: 1000 },
    );
  });
});

/** What xinetd 2.3.15 compares: the network and mask of an element, or a name, for which there are no words here. */
interface Element {
  readonly text: string;
  /** As xinetd sees the address of a client of a socket for both families. */
  readonly matches: (client: IpAddress) => boolean;
}

/** The words that `isDenied` and this model of addrlist_match() in addr.c decide on. */
const octet = fc.oneof(fc.constantFrom(0, 0, 1, 10, 255), fc.nat(255));
const ipv4Number = fc
  .tuple(octet, octet, octet, octet)
  .map((octets) => octets.reduce((sum, each) => sum * 256 + each, 0));
const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
const ipv4Of = (value: number): IpAddress => ({ w0: 0, w1: 0, w2: 0xffff, w3: value });
const isIpv4 = (ip: IpAddress): boolean => ip.w0 === 0 && ip.w1 === 0 && ip.w2 === 0xffff;
const maskOf = (bits: number): number => (bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0);
const masked = (value: number, mask: number): number => (value & mask) >>> 0;

function ipv4Element(text: string, network: number, mask: number): Element {
  return { text, matches: (client) => isIpv4(client) && masked(client.w3, mask) === masked(network, mask) };
}

const elements: fc.Arbitrary<Element> = fc.oneof(
  ipv4Number.map((value) => {
    const zeros = [24, 16, 8, 0]
      .map((shift) => (value >>> shift) & 255)
      .reduce((run, each) => (each === 0 ? run + 1 : 0), 0);
    return ipv4Element(dotted(value), value, maskOf(32 - 8 * zeros));
  }),
  fc.tuple(ipv4Number, fc.nat(32)).map(([value, bits]) => ipv4Element(`${dotted(value)}/${bits}`, value, maskOf(bits))),
  fc
    .tuple(ipv4Number, fc.nat(3), fc.array(octet, { minLength: 1, maxLength: 3 }))
    .map(([value, count, last]): Element => {
      const before = dotted(value).split('.').slice(0, count);
      const blocks = last.map((each) => {
        const network = [...before, String(each), '0', '0', '0']
          .slice(0, 4)
          .reduce((sum, part) => sum * 256 + Number(part), 0);
        return ipv4Element('', network, maskOf(8 * (count + 1)));
      });
      const text = `${before.map((each) => `${each}.`).join('')}{${last.join(',')}}`;
      return { text, matches: (client) => blocks.some((block) => block.matches(client)) };
    }),
  // To xinetd, the address of an IPv4 client is an IPv6 one here.
  fc.nat(127).map(
    (bits): Element => ({
      text: `::/${bits}`,
      matches: (client) =>
        [client.w0, client.w1, client.w2, client.w3].every(
          (word, index) => masked(word, maskOf(Math.min(32, Math.max(0, bits - 32 * index)))) === 0,
        ),
    }),
  ),
  fc
    .constantFrom('host.example', '.example', '10.0.0.0/255.0.0.0', '::')
    .map((text) => ({ text, matches: () => false })),
);

const clients = fc.oneof(
  ipv4Number.map(ipv4Of),
  fc.constantFrom(
    { w0: 0, w1: 0, w2: 0, w3: 1 },
    { w0: 0xfd00_0000, w1: 0, w2: 0, w3: 1 },
    { w0: 0, w1: 0, w2: 1, w3: 0 },
  ),
);

function cidrsOf(list: readonly string[] = []): readonly Cidr[] {
  return list.map((text) => parseCidr(text)!);
}

test('whoever is served was served by xinetd, whatever only_from and no_access say', async () => {
  let admitted = 0;
  let refused = 0;
  const lists = fc.option(fc.array(elements, { minLength: 1, maxLength: 3 }), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(lists, lists, fc.array(clients, { minLength: 20, maxLength: 20 }), async (only, no, each) => {
      const lines = [
        ...(only === undefined ? [] : [`only_from = ${only.map(({ text }) => text).join(' ')}`]),
        ...(no === undefined ? [] : [`no_access = ${no.map(({ text }) => text).join(' ')}`]),
      ];
      const { services } = await readXinetd(
        `service echo\n{\ntype = INTERNAL\nwait = no\nprotocol = tcp\n${lines.join('\n')}\n}\n`,
      );
      const [service] = services;
      if (service === undefined) return;
      const access = {
        allow: cidrsOf(service.settings.allow),
        deny: cidrsOf(service.settings.deny),
        exempt: [],
        exemptByHeader: [],
      };
      for (const client of each) {
        if (isDenied(access, client)) {
          refused += 1;
          continue;
        }
        admitted += 1;
        expect(only?.some(({ matches }) => matches(client)) ?? true, formatIp(client)).toBe(true);
        expect(no?.some(({ matches }) => matches(client)) ?? false, formatIp(client)).toBe(false);
      }
    }),
    { numRuns: 2000 },
  );
  expect(admitted).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});
