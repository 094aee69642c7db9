/** smallserv mtu on paths with two routers, whose MTU differs between the links, and between the directions. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MtuResult } from '../../src/client/mtu.ts';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram } from './program.ts';
import { at, echoPort, type Family, families, nft, router, server, smallserv } from './routed-path.ts';

needs('ip', 'nft');

/** The first router on the side of the second, and the second on that of the first. */
const middle = {
  first: { ipv4: '198.51.100.1', ipv6: '2001:db8:4::1' },
  second: { ipv4: '198.51.100.2', ipv6: '2001:db8:4::2' },
} as const;
const gateway = { ipv4: '203.0.113.254', ipv6: '2001:db8:3::fe' } as const;
const prefixes = {
  client: { ipv4: '192.0.2.0/24', ipv6: '2001:db8:2::/64' },
  server: { ipv4: '203.0.113.0/24', ipv6: '2001:db8:3::/64' },
} as const;

/** What the link between the routers takes, in each direction. */
interface Middle {
  readonly there: number;
  readonly back: number;
}

interface LongPath {
  readonly client: Network;
  readonly routers: readonly [Network, Network];
  readonly host: Network;
}

async function makeLongPath({ there, back }: Middle): Promise<LongPath> {
  const [client, first, second, host] = [Network.make(), Network.make(), Network.make(), Network.make()];
  client.join(first, ['192.0.2.1/24', '2001:db8:2::1/64'], [`${router.ipv4}/24`, `${router.ipv6}/64`]);
  first.join(
    second,
    [`${middle.first.ipv4}/24`, `${middle.first.ipv6}/64`],
    [`${middle.second.ipv4}/24`, `${middle.second.ipv6}/64`],
  );
  second.join(host, [`${gateway.ipv4}/24`, `${gateway.ipv6}/64`], [`${server.ipv4}/24`, `${server.ipv6}/64`]);
  for (const each of [first, second, host]) {
    // An ICMP error for each packet, not only now and then.
    each.set('net/ipv4/icmp_ratelimit', 0);
    each.set('net/ipv6/icmp/ratelimit', 0);
  }
  for (const each of [first, second]) {
    each.set('net/ipv4/ip_forward', 1);
    each.set('net/ipv6/conf/all/forwarding', 1);
  }
  for (const family of families) {
    client.ip('route', 'add', 'default', 'via', router[family]);
    host.ip('route', 'add', 'default', 'via', gateway[family]);
    // A veth(4) drops what is larger than its own MTU takes, without an ICMP error. A route says so.
    first.ip('route', 'add', prefixes.server[family], 'via', middle.second[family], 'mtu', 'lock', `${there}`);
    second.ip('route', 'add', prefixes.client[family], 'via', middle.first[family], 'mtu', 'lock', `${back}`);
  }
  const config = join(temporaryDirectory(), 'smallservd.yaml');
  writeFileSync(config, JSON.stringify({ workers: 0, services: { echo: { listen: [`udp://*:${echoPort}`] } } }));
  await new DaemonProgram(['--config', config], (argv) => host.inside(argv)).ready();
  return { client, routers: [first, second], host };
}

/** Routers that send no ICMP error for what is too big. */
function makeBlackHole({ routers }: LongPath): void {
  for (const each of routers) {
    nft(
      each,
      `table inet filter {
        chain output {
          type filter hook output priority 0
          icmp type destination-unreachable icmp code frag-needed drop
          icmpv6 type packet-too-big drop
        }
      }`,
    );
  }
}

const methods = ['udp', 'icmp'] as const;

interface Measured {
  readonly family: Family;
  readonly method: (typeof methods)[number];
  readonly result: MtuResult;
}

/** Measures the path by all ways at the same time. */
async function measure({ client }: LongPath): Promise<readonly Measured[]> {
  const runs = families.flatMap((family) => methods.map((method) => ({ family, method })));
  return Promise.all(
    runs.map(async ({ family, method }) => {
      const target = method === 'icmp' ? ['--icmp', server[family]] : [at(server, family, echoPort)];
      const ended = await smallserv(client, 'mtu', '--json', '--tries', '3', ...target);
      expect([ended.code, ended.complaints], ended.output).toEqual([0, '']);
      return { family, method, result: JSON.parse(ended.output) as MtuResult };
    }),
  );
}

/** The largest packet: an IPv6 header does not count. */
const largest = { ipv4: 65_535, ipv6: 65_575 } as const;

describe('a path whose routers say what is too big', () => {
  it.each([1280, 1400])('takes %i bytes in both directions', async (mtu) => {
    for (const { family, method, result } of await measure(await makeLongPath({ there: mtu, back: mtu })))
      expect(result, `${family} ${method}`).toMatchObject({
        outcome: 'ok',
        mtuBytes: mtu,
        forward: {
          atLeastBytes: mtu,
          atMostBytes: mtu,
          limit: 'router',
          router: { address: router[family], mtuBytes: mtu },
        },
        backward: { atLeastBytes: mtu, atMostBytes: mtu, isBlackHole: false },
        isLossAmbiguous: false,
        largestBytes: largest[family],
      });
  });

  it('takes less there than back', async () => {
    for (const { family, method, result } of await measure(await makeLongPath({ there: 1280, back: 1500 })))
      expect(result, `${family} ${method}`).toMatchObject({
        mtuBytes: 1280,
        forward: { atLeastBytes: 1280, atMostBytes: 1280, limit: 'router' },
        backward: { atLeastBytes: 1500, atMostBytes: 1500, isBlackHole: false },
        largestBytes: largest[family],
      });
  });

  it('takes less back than there', async () => {
    for (const { family, method, result } of await measure(await makeLongPath({ there: 1500, back: 1400 })))
      expect(result, `${family} ${method}`).toMatchObject({
        mtuBytes: 1400,
        forward: { atLeastBytes: 1500, atMostBytes: 1500, limit: 'interface' },
        backward: { atLeastBytes: 1400, atMostBytes: 1400, isBlackHole: false },
        largestBytes: largest[family],
      });
  });
});

describe('a black hole', () => {
  it('on the way there is told from one on the way back', async () => {
    const path = await makeLongPath({ there: 1400, back: 1500 });
    makeBlackHole(path);
    for (const { family, method, result } of await measure(path))
      expect(result, `${family} ${method}`).toMatchObject({
        mtuBytes: 1400,
        forward: { atLeastBytes: 1400, atMostBytes: 1400, limit: 'black-hole' },
        // Over IPv6 only what is larger than the interface takes leaves in fragments.
        backward: { atLeastBytes: family === 'ipv6' ? 1496 : 1500, isBlackHole: false },
        isLossAmbiguous: false,
        largestBytes: largest[family],
      });
  });

  it('on the way back is told from one on the way there', async () => {
    const path = await makeLongPath({ there: 1500, back: 1400 });
    makeBlackHole(path);
    for (const { family, method, result } of await measure(path)) {
      expect(result, `${family} ${method}`).toMatchObject({
        mtuBytes: 1400,
        forward: { atLeastBytes: 1500, atMostBytes: 1500, limit: 'interface' },
        backward: { atLeastBytes: 1400, atMostBytes: 1400 },
        // Over IPv6 a router never fragments, so the fragments of replies are lost as well.
        largestBytes: family === 'ipv6' ? 1400 : largest[family],
      });
      // Linux answers pings over IPv4 without DF, and routers fragment its replies.
      const isFragmented = family === 'ipv4' && method === 'icmp';
      expect(result.backward.isBlackHole, `${family} ${method}`).toBe(!isFragmented);
    }
  });

  it('is named, with the reason if its direction is not known', async () => {
    const path = await makeLongPath({ there: 1400, back: 1400 });
    makeBlackHole(path);
    // Over IPv4 the host does not say that a port is closed.
    const drop = 'icmp type destination-unreachable drop';
    nft(path.host, `table inet filter { chain output { type filter hook output priority 0; ${drop}; }; }`);
    const [untold, told] = await Promise.all(
      families.map(async (family) => smallserv(path.client, 'mtu', '--tries', '3', at(server, family, echoPort))),
    );
    const lost = 'larger packets get lost';
    expect(told?.output).toMatch(/^path MTU {2}1400 bytes, there and back in one piece \(1352 bytes of data\)\n/);
    expect(told?.output).toContain(`\nthere     1400 bytes: ${lost}, and no router says so (a black hole)\n`);
    expect(untold?.output).toContain(
      `\nthere     at least 1400 bytes: ${lost}, there or back, and no router says so\n`,
    );
    expect([told?.code, untold?.code]).toEqual([0, 0]);
  });
});
