/** Forged sources on the server's own link that do not exist: replies to them wait for ARP or NDP. */
import { expect, it } from 'vitest';
import { type Cable, Network, needs } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip', 'setpriv');

const port = 1201;
const hosts = ['198.18.0.1', '2001:db8::1'];
/** Asked one after the other, within the time of the attack. */
const questions = 200;

/**
 * Sends `first` datagrams at once, and then `rate` a second over a cable for `seconds`, each from another address of
 * the server's network, with `length` bytes.
 */
const forger = `
import socket, struct, sys, time
device, mac, family = sys.argv[1], bytes.fromhex(sys.argv[2].replace(':', '')), sys.argv[3]
first, rate, seconds, length = (int(each) for each in sys.argv[4:])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((device, 0))
own = raw.getsockname()[4]

def checksum(data):
    if len(data) % 2: data += b'\\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def frame(number):
    body = struct.pack('!I', number) + bytes(length - 4)
    udp = struct.pack('!HHHH', 40000, ${port}, 8 + len(body), 0) + body
    if family == '4':
        source = socket.inet_aton('198.18.%d.%d' % (16 + number // 200 % 40, 10 + number % 200))
        ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), number & 0xffff, 0, 64, 17, 0, source, socket.inet_aton('198.18.0.1'))
        ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
        return mac + own + b'\\x08\\x00' + ip + udp
    source = socket.inet_pton(socket.AF_INET6, '2001:db8::%x' % (0x1000 + number % 8000))
    target = socket.inet_pton(socket.AF_INET6, '2001:db8::1')
    sum6 = checksum(source + target + struct.pack('!II', len(udp), 17) + udp) or 0xffff
    udp = udp[:6] + struct.pack('!H', sum6) + udp[8:]
    return mac + own + b'\\x86\\xdd' + struct.pack('!IHBB', 6 << 28, len(udp), 17, 64) + source + target + udp

print('forging', flush=True)
began = time.monotonic()
number = 0
while time.monotonic() - began < seconds:
    while number < first + (time.monotonic() - began) * rate:
        raw.send(frame(number))
        number += 1
    time.sleep(0.002)
print('forged', number, flush=True)
`;

/** Asks so many times, and says how many answers came within a second. */
const client = `
import socket, sys, time
host, count, length, pause = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
asking = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)
asking.connect((host, ${port}))
answered = 0
for number in range(count):
    body = b'%d ' % number
    body += bytes(length - len(body))
    asking.send(body)
    deadline = time.monotonic() + 1
    while (left := deadline - time.monotonic()) > 0:
        asking.settimeout(left)
        try:
            if asking.recv(65536) == body:
                answered += 1
                break
        except TimeoutError: break
    time.sleep(pause)
print('answered', answered, flush=True)
`;

/** A server, a router on its link, and a network behind that. `shown` is what tells the server of its network. */
class Networks {
  readonly server = Network.make();
  readonly router = Network.make();
  readonly far = Network.make();
  readonly #cable: Cable;

  constructor(shown: string = 'its address') {
    const { server, router, far } = this;
    const own = shown === 'a route' ? ['198.18.0.1/32', '2001:db8::1/128'] : ['198.18.0.1/16', '2001:db8::1/64'];
    this.#cable = server.join(router, own, ['198.18.255.254/16', '2001:db8::ffff/64']);
    if (shown === 'a route')
      for (const network of ['198.18.0.0/16', '2001:db8::/64'])
        server.ip('route', 'add', network, 'dev', this.#cable.near);
    router.join(far, ['198.51.100.1/24', '2001:db8:1::1/64'], ['198.51.100.2/24', '2001:db8:1::2/64']);
    for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) router.set(key, 1);
    server.ip('route', 'add', 'default', 'via', '198.18.255.254');
    server.ip('route', 'add', 'default', 'via', '2001:db8::ffff');
    far.ip('route', 'add', 'default', 'via', '198.51.100.1');
    far.ip('route', 'add', 'default', 'via', '2001:db8:1::1');
  }

  async serve(...settings: readonly string[]): Promise<void> {
    // Without the capability, the send buffer is no larger than the system allows anybody.
    const daemon = new DaemonProgram(
      [`services.echo.listen=udp://*:${port}`, 'services.echo.exposeUdp=true', ...settings].flatMap((each) => [
        '--set',
        each,
      ]),
      (argv) => this.server.inside(['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', ...argv]),
    );
    await daemon.ready();
  }

  /** A host on the link of the server that was not there before. It may know the server's link address. */
  newcomer(serverLinkAddress?: string): Network {
    const newcomer = Network.make();
    const device = newcomer.attach(this.router, this.#cable.far, ['198.18.0.9/16', '2001:db8::9/64']);
    if (serverLinkAddress !== undefined)
      for (const host of hosts) newcomer.ip('neigh', 'replace', host, 'lladdr', serverLinkAddress, 'dev', device);
    return newcomer;
  }

  /** For longer than any test. */
  async forge(family: string, length: number, perSecond: number = 1000, first: number = 0): Promise<Program> {
    const to = [this.#cable.far, await this.linkAddress(), family.slice(-1)];
    const how = [first, perSecond, 250, length].map(String);
    const forging = new Program(this.router.inside(['python3', '-c', forger, ...to, ...how]));
    await forging.says(/forging/);
    return forging;
  }

  /** Of the server. */
  async linkAddress(): Promise<string> {
    const file = `/sys/class/net/${this.#cable.near}/address`;
    const [address = ''] = await new Program(this.server.inside(['cat', file])).says(/\S+/);
    return address;
  }
}

/** Asks so many times, each time a pause after the last answer, and returns how many were answered. */
async function ask(from: Network, host: string, count: number, length: number, pauseMs: number = 10): Promise<number> {
  const argv = ['python3', '-c', client, host, String(count), String(length), String(pauseMs / 1000)];
  const [said] = await new Program(from.inside(argv)).says(/answered \d+/, 240_000);
  return Number(said.split(' ')[1]);
}

it.each([
  ['IPv4', '198.18.0.1', 32, 'its address'],
  ['IPv4', '198.18.0.1', 1400, 'its address'],
  ['IPv6', '2001:db8::1', 32, 'its address'],
  ['IPv6', '2001:db8::1', 1400, 'its address'],
  ['IPv4', '198.18.0.1', 32, 'a route'],
  ['IPv6', '2001:db8::1', 32, 'a route'],
])(
  'over %s at %s, with %i bytes, do not keep a client of another network waiting, if %s shows the network',
  async (family, host, length, shown) => {
    const networks = new Networks(shown);
    const { far } = networks;
    await networks.serve();
    // The link and the neighbors on the way may only just be coming up.
    expect(await ask(far, host, 5, 32)).toBeGreaterThan(0);
    const forging = await networks.forge(family, length);
    // By now, the replies to the forged ones wait.
    await ask(far, host, 100, length);
    expect(await ask(far, host, questions, length)).toBeGreaterThanOrEqual(questions * 0.99);
    forging.signal('SIGTERM');
    await forging.end();
  },
  300_000,
);

/** Fewer, and the kernel keeps all entries that are in use (gc_thresh2). */
const mostEntries = 512;

/** For longer than the kernel takes to remove hosts that do not exist. */
const patientQuestions = 110;

it('leave the kernel room for new neighbors, who are answered, whichever worker they ask', async () => {
  const networks = new Networks();
  const { server, far } = networks;
  // The newcomer is in the network whose sources are forged, and would share their rate.
  await networks.serve('workers=2', 'services.echo.exempt=[198.18.0.9, "2001:db8::9"]');
  await Promise.all(hosts.map((host) => ask(far, host, 5, 32)));
  const counting = ['sh', '-c', 'while :; do echo $(ip -4 neigh | wc -l) $(ip -6 neigh | wc -l); sleep 0.2; done'];
  const counter = new Program(server.inside(counting));
  const forging = [await networks.forge('IPv4', 32), await networks.forge('IPv6', 32)];
  const newcomer = networks.newcomer();
  const answered = await Promise.all(
    [far, newcomer].flatMap((each) => hosts.map((host) => ask(each, host, patientQuestions, 32, 200))),
  );
  for (const each of [counter, ...forging]) {
    each.signal('SIGTERM');
    await each.end();
  }
  const counts = counter.output
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  const most = [0, 1].map((family) => Math.max(...counts.map((each) => each[family] ?? 0)));
  // The first question of a newcomer may come before it is known that it is there.
  for (const each of answered) expect(each).toBeGreaterThanOrEqual(patientQuestions * 0.99);
  for (const each of most) expect(each).toBeLessThan(mostEntries);
  // Some are looked for, or nobody would be known ever.
  expect(Math.min(...most)).toBeGreaterThan(10);
}, 300_000);

/** More than are looked for at once, by any worker. */
const manySources = 300;

const newcomerQuestions = 20;

it('few forged sources do not keep out a newcomer that does not ask for our link address', async () => {
  const networks = new Networks();
  const { server, far } = networks;
  await networks.serve('workers=2');
  await Promise.all(hosts.map((host) => ask(far, host, 5, 32)));
  const forging = await Promise.all(['IPv4', 'IPv6'].map((family) => networks.forge(family, 32, 3, manySources)));
  const newcomer = networks.newcomer(await networks.linkAddress());
  // Some of the rate has come back by then.
  await ask(far, '198.18.0.1', 30, 32, 100);
  for (const host of ['198.18.0.9', '2001:db8::9']) server.ip('neigh', 'flush', 'to', host);
  const answered = await Promise.all(hosts.map((host) => ask(newcomer, host, newcomerQuestions, 32, 50)));
  for (const each of answered) expect(each).toBeGreaterThanOrEqual(newcomerQuestions * 0.9);
  for (const each of forging) {
    each.signal('SIGTERM');
    await each.end();
  }
}, 300_000);
