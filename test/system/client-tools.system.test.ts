import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lookupPort } from '../../src/client/lookup-port.ts';
import { lookupProtocol } from '../../src/client/lookup-protocol.ts';
import { clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { kill, Program, run } from './program.ts';

needs('ip', 'getent', 'dnsmasq', 'python3', 'unshare', 'mount');

/** The lines that getent(1) prints, field by field. */
function getent(...args: readonly string[]): readonly (readonly string[])[] {
  const lines = execFileSync('getent', args, { encoding: 'utf8' }).trimEnd().split('\n');
  return lines.map((line) => line.split(/\s+/));
}

/** getent knows sctp and dccp, too. */
const isOurs = (target: string): boolean => /\/(?:tcp|udp)$/.test(target);

describe('lookups in the system databases', () => {
  it('agree with getent for every service, by name, alias and port', async () => {
    const entries = getent('services').filter(([, target = '']) => isOurs(target));
    expect(entries.length).toBeGreaterThan(100);
    for (const [name = '', target = '', ...aliases] of entries) {
      const [port, network = ''] = target.split('/');
      for (const each of [name, ...aliases]) {
        const [, found = ''] = getent('services', `${each}/${network}`)[0] ?? [];
        expect(`${(await lookupPort(network, each)).port}/${network}`, each).toBe(found);
      }
      const [byPort = ''] = getent('services', target)[0] ?? [];
      expect((await lookupPort(network, String(port))).name, target).toBe(byPort);
    }
  });

  it('agree with getent for every protocol, by name, alias and number', async () => {
    const entries = getent('protocols');
    expect(entries.length).toBeGreaterThan(40);
    for (const [name = '', number = '', ...aliases] of entries) {
      for (const each of [name, ...aliases]) {
        const [, found] = getent('protocols', each)[0] ?? [];
        expect(String((await lookupProtocol(each)).number), each).toBe(found);
      }
      const [byNumber] = getent('protocols', number)[0] ?? [];
      expect((await lookupProtocol(number)).name, number).toBe(byNumber);
    }
  });
});

/** In a mount namespace of the process, these texts in place of files of the machine. */
function withFiles(files: Readonly<Record<string, string>>): (argv: readonly string[]) => readonly string[] {
  const directory = temporaryDirectory();
  const mounts = Object.entries(files).map(([path, text], index) => {
    const file = join(directory, String(index));
    writeFileSync(file, text);
    return `mount --bind '${file}' ${path} && `;
  });
  return (argv) => ['unshare', '--mount', 'sh', '-c', `${mounts.join('')}exec "$@"`, 'sh', ...argv];
}

/** A machine without a network but its own: its hosts file, and name servers that know a few names. */
interface Machine {
  readonly inside: (argv: readonly string[]) => readonly string[];
  readonly smallserv: (
    ...args: readonly string[]
  ) => Promise<{ code: number | null; output: string; complaints: string }>;
  /** The addresses and the canonical name that getaddrinfo(3) gives for a name. */
  readonly addressInfo: (name: string) => Promise<{ addresses: readonly string[]; canonicalName: string | undefined }>;
}

const hosts = `127.0.0.1 localhost
::1 localhost ip6-localhost
127.0.1.1 here.example here
2001:db8:1::9 both.example
127.0.0.1 both.example
`;

function machine(network: Network = Network.make(), nameServer = '127.0.0.1', known = hosts): Machine {
  const around = withFiles({ '/etc/hosts': known, '/etc/resolv.conf': `nameserver ${nameServer}\n` });
  const inside = (argv: readonly string[]): readonly string[] => network.inside(around(argv));
  return {
    inside,
    smallserv: async (...args) => {
      const tool = await run(inside([...clientProgram, ...args]));
      return { code: (await tool.ended).code, output: tool.output, complaints: tool.complaints };
    },
    addressInfo: async (name) => {
      const { output } = await run(inside(['getent', 'ahosts', name]));
      const rows = output.split('\n').map((line) => line.trim().split(/\s+/));
      const streams = rows.filter(([, type]) => type === 'STREAM');
      return { addresses: streams.map(([address = '']) => address), canonicalName: streams[0]?.[2] };
    },
  };
}

/** Debian's dnsmasq, with one host and two names more for it. */
async function startNameServer({ inside }: Machine): Promise<void> {
  const names = [
    '--host-record=host7.example,192.0.2.7,2001:db8::7',
    '--cname=www.example,web.example',
    '--cname=web.example,host7.example',
  ];
  const own = ['--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--log-facility=-'];
  const upstream = [
    '--no-resolv',
    '--no-hosts',
    '--local=/example/',
    '--listen-address=127.0.0.1',
    '--bind-interfaces',
  ];
  const server = new Program(inside(['dnsmasq', ...own, ...upstream, ...names]));
  await server.until(() => server.complaints.includes('started'), 'the start of dnsmasq');
}

describe('names', () => {
  it('resolve from the hosts file without a name server', async () => {
    const lone = machine();
    for (const name of ['localhost', 'here', 'here.example', 'ip6-localhost', 'both.example']) {
      const { addresses } = await lone.addressInfo(name);
      expect(await lone.smallserv('lookup-host', name)).toEqual({
        code: 0,
        output: addresses.map((address) => `${address}\n`).join(''),
        complaints: '',
      });
      expect((await lone.smallserv('resolve', name)).output).toBe(`${addresses[0]}\n`);
    }
    expect((await lone.smallserv('resolve', '-6', 'localhost')).output).toBe('::1\n');
    for (const name of ['localhost', 'here', 'here.example']) {
      const { canonicalName } = await lone.addressInfo(name);
      expect(await lone.smallserv('lookup-host', '--cname', name)).toEqual({
        code: 0,
        output: `${canonicalName}.\n`,
        complaints: '',
      });
    }
  });

  it('resolve through the name server', async () => {
    const served = machine();
    await startNameServer(served);
    for (const name of ['host7.example', 'web.example', 'www.example', 'www.example.']) {
      const { addresses, canonicalName } = await served.addressInfo(name);
      expect(addresses.toSorted()).toEqual(['192.0.2.7', '2001:db8::7']);
      expect((await served.smallserv('lookup-host', name)).output.trimEnd().split('\n').toSorted()).toEqual(
        addresses.toSorted(),
      );
      expect(canonicalName).toBe('host7.example');
      expect(await served.smallserv('lookup-host', '--cname', name)).toEqual({
        code: 0,
        output: 'host7.example.\n',
        complaints: '',
      });
    }
    expect(await served.smallserv('resolve', 'nobody.example')).toEqual({
      code: 2,
      output: '',
      complaints: 'smallserv: nobody.example has no address\n',
    });
  });

  it('fail to resolve if no name server is running', async () => {
    expect(await machine().smallserv('resolve', 'host7.example')).toEqual({
      code: 2,
      output: '',
      complaints: 'smallserv: cannot resolve host7.example: no name server answers\n',
    });
  });
});

/** A network with two addresses from which nothing ever comes back, to SYNs, datagrams and questions alike. */
const silent = { ipv4: '198.18.0.9', ipv6: '2001:db8:1::9' } as const;

async function networkWithSilence(): Promise<Network> {
  const network = Network.make();
  const link = 'link add near type veth peer name far';
  const up = ['link set near up', 'link set far up'];
  const addresses = ['addr add 198.18.0.1/24 dev near', 'addr add 2001:db8:1::1/64 dev near nodad'];
  const neighbours = Object.values(silent).map((each) => `neigh add ${each} lladdr 02:00:00:00:00:09 dev near`);
  for (const command of [link, ...up, ...addresses, ...neighbours]) {
    const { complaints } = await run(network.inside(['ip', ...command.split(' ')]));
    expect(complaints).toBe('');
  }
  return network;
}

describe('an unresponsive host', () => {
  it('times out over TCP and UDP in both families', async () => {
    const { smallserv } = machine(await networkWithSilence());
    for (const [host, name] of [
      [silent.ipv4, `${silent.ipv4}:13`],
      [`[${silent.ipv6}]`, `[${silent.ipv6}]:13`],
    ] as const) {
      expect(await smallserv('daytime', '--timeout', '300ms', host)).toEqual({
        code: 2,
        output: '',
        complaints: `smallserv: cannot connect to ${name}: no answer within 300ms\n`,
      });
      expect(await smallserv('daytime', '-u', '--timeout', '300ms', host)).toEqual({
        code: 1,
        output: '',
        complaints: `smallserv: ${name} is silent over UDP: no answer to one datagram within 300ms\n`,
      });
    }
  });

  it('does not block a name that has another, working address', async () => {
    const both = machine(await networkWithSilence());
    const directory = temporaryDirectory();
    const server = new Program(
      both.inside(['python3', '-u', '-m', 'http.server', '--directory', directory, '--bind', '127.0.0.1', '8000']),
    );
    await server.says(/Serving HTTP/);
    expect((await both.addressInfo('both.example')).addresses).toEqual([silent.ipv6, '127.0.0.1']);
    const { code, output, complaints } = await both.smallserv('head', 'both.example:8000');
    expect([code, complaints]).toEqual([0, '']);
    expect(output).toMatch(/^HTTP\/1\.0 200 OK\r\nServer: SimpleHTTP\/(?:.+\r\n)+\r\n$/);
    const missing = await both.smallserv('head', '-4', 'both.example:8000', '--path', '/nowhere');
    expect(missing.output).toMatch(/^HTTP\/1\.0 404 /);
    const late = await both.smallserv('head', '-6', '--timeout', '300ms', 'both.example:8000');
    expect(late.complaints).toBe('smallserv: cannot connect to both.example:8000: no answer within 300ms\n');
  });

  it.each([
    [['resolve', 'host7.example'], 2, /^$/, 'smallserv: cannot resolve host7.example: no answer within 300ms\n'],
    [['probe', 'host7.example:80'], 1, / timeout .* no answer within 300ms\n$/, ''],
  ])('times out as a name server without delaying the exit of %j', async (args, code, output, complaints) => {
    const { inside } = machine(await networkWithSilence(), silent.ipv4);
    // By itself getaddrinfo(3) asks for ten seconds, and with RES_OPTIONS as given here for a minute.
    const tool = new Program(inside([...clientProgram, ...args, '--timeout', '300ms']), { env: slowResolver });
    expect(await tool.end(30_000)).toEqual({ code, signal: null });
    expect(tool.output).toMatch(output);
    expect(tool.complaints).toBe(complaints);
  });

  it('is left at once with Ctrl-C', async () => {
    const { inside } = machine(await networkWithSilence(), silent.ipv4);
    const argv = inside([...clientProgram, 'resolve', '--timeout', '1h', 'host7.example']);
    const tool = new Program(argv, { env: slowResolver });
    // The resolver has asked once its socket is there.
    await tool.until(() => openSockets(tool.family.at(-1) ?? tool.pid) > 0, 'the question');
    kill(tool.family.at(-1) ?? tool.pid, 'SIGINT');
    expect(await tool.end(30_000)).toEqual({ code: 130, signal: null });
    expect(tool.complaints).toBe('smallserv: interrupted\n');
  });
});

/** resolv.conf(5) has 30 and 5 as its maxima. */
const slowResolver = { RES_OPTIONS: 'timeout:30 attempts:2' };

/** The UDP sockets of the network that a process is in. */
function openSockets(pid: number): number {
  return readFileSync(`/proc/${pid}/net/udp`, 'latin1').trimEnd().split('\n').length - 1;
}

describe('localhost', () => {
  it('is known without a hosts file and a name server', async () => {
    const bare = machine(Network.make(), '127.0.0.1', '');
    expect((await bare.addressInfo('localhost')).addresses).toEqual([]);
    for (const name of ['localhost', 'LocalHost.', 'app.localhost']) {
      const { code, output, complaints } = await bare.smallserv('lookup-host', name);
      expect([code, output, complaints]).toEqual([0, '::1\n127.0.0.1\n', '']);
    }
    expect((await bare.smallserv('daytime', 'localhost')).complaints).toContain('localhost:13: connection refused\n');
    expect((await bare.smallserv('lookup-host', '--cname', 'localhost')).output).toBe('localhost.\n');
  });
});

describe('a machine without /etc/services and /etc/protocols', () => {
  it('knows the built-in services and protocols', async () => {
    const bare = withFiles({ '/etc/services': '', '/etc/protocols': '' });
    const output = async (...args: readonly string[]): Promise<string> =>
      (await run(bare([...clientProgram, ...args]))).output;
    expect(await output('lookup-port', 'udp', 'daytime')).toBe('13\n');
    expect(await output('lookup-port', 'tcp', '19')).toBe('chargen\n');
    expect(await output('lookup-protocol', 'icmp')).toBe('1\n');
    expect(await output('lookup-port', 'tcp', 'telnet')).toBe('');
  });
});
