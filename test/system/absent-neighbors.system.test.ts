/** Forged sources on the server's own link that do not exist: replies to them wait for ARP or NDP. */
import { expect, it } from 'vitest';
import { Network, needs } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip', 'setpriv');

const port = 1201;
/** Asked one after the other, within the time of the attack. */
const questions = 200;

/**
 * Sends `rate` datagrams a second over a cable for `seconds`, each from another address of the server's network, with
 * `length` bytes.
 */
const forger = `
import socket, struct, sys, time
device, mac, family, rate, seconds, length = sys.argv[1], bytes.fromhex(sys.argv[2].replace(':', '')), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
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
        source = socket.inet_aton('192.0.%d.%d' % (2 + number // 200 % 2, 10 + number % 200))
        ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), number & 0xffff, 0, 64, 17, 0, source, socket.inet_aton('192.0.2.1'))
        ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
        return mac + own + b'\\x08\\x00' + ip + udp
    source = socket.inet_pton(socket.AF_INET6, '2001:db8::%x' % (0x1000 + number % 4000))
    target = socket.inet_pton(socket.AF_INET6, '2001:db8::1')
    sum6 = checksum(source + target + struct.pack('!II', len(udp), 17) + udp) or 0xffff
    udp = udp[:6] + struct.pack('!H', sum6) + udp[8:]
    return mac + own + b'\\x86\\xdd' + struct.pack('!IHBB', 6 << 28, len(udp), 17, 64) + source + target + udp

print('forging', flush=True)
began = time.monotonic()
number = 0
while time.monotonic() - began < seconds:
    while number < (time.monotonic() - began) * rate:
        raw.send(frame(number))
        number += 1
    time.sleep(0.002)
print('forged', number, flush=True)
`;

/** Asks so many times, and says how many answers came within a second. */
const client = `
import socket, sys, time
host, count, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
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
    time.sleep(0.01)
print('answered', answered, flush=True)
`;

it.each([
  ['IPv4', '192.0.2.1', 32, 'its address'],
  ['IPv4', '192.0.2.1', 1400, 'its address'],
  ['IPv6', '2001:db8::1', 32, 'its address'],
  ['IPv6', '2001:db8::1', 1400, 'its address'],
  ['IPv4', '192.0.2.1', 32, 'a route'],
  ['IPv6', '2001:db8::1', 32, 'a route'],
])(
  'over %s at %s, with %i bytes, do not keep a client of another network waiting, if %s shows the network',
  async (family, host, length, shown) => {
    const [server, router, far] = [Network.make(), Network.make(), Network.make()];
    const own = shown === 'a route' ? ['192.0.2.1/32', '2001:db8::1/128'] : ['192.0.2.1/23', '2001:db8::1/64'];
    const cable = server.join(router, own, ['192.0.3.254/23', '2001:db8::ffff/64']);
    if (shown === 'a route')
      for (const network of ['192.0.2.0/23', '2001:db8::/64']) server.ip('route', 'add', network, 'dev', cable.near);
    router.join(far, ['198.51.100.1/24', '2001:db8:1::1/64'], ['198.51.100.2/24', '2001:db8:1::2/64']);
    for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) router.set(key, 1);
    server.ip('route', 'add', 'default', 'via', '192.0.3.254');
    server.ip('route', 'add', 'default', 'via', '2001:db8::ffff');
    far.ip('route', 'add', 'default', 'via', '198.51.100.1');
    far.ip('route', 'add', 'default', 'via', '2001:db8:1::1');
    // Without the capability, the send buffer is no larger than the system allows anybody.
    const daemon = new DaemonProgram(
      [`services.echo.listen=udp://*:${port}`, 'services.echo.exposeUdp=true'].flatMap((each) => ['--set', each]),
      (argv) => server.inside(['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', ...argv]),
    );
    await daemon.ready();
    const address = await new Program(server.inside(['cat', `/sys/class/net/${cable.near}/address`])).says(/\S+/);
    const asking = ['python3', '-c', client, host];
    // The link and the neighbors on the way may only just be coming up.
    await new Program(far.inside([...asking, '5', '32'])).says(/answered [1-5]/);
    const to = [cable.far, address[0], family.slice(-1)];
    const forging = new Program(router.inside(['python3', '-c', forger, ...to, '1000', '250', String(length)]));
    await forging.says(/forging/);
    // By now, the replies to the forged ones wait.
    await new Program(far.inside([...asking, '100', String(length)])).says(/answered \d+/, 120_000);
    const honest = new Program(far.inside([...asking, String(questions), String(length)]));
    const [said] = await honest.says(/answered \d+/, 240_000);
    expect(Number(said.split(' ')[1])).toBeGreaterThanOrEqual(questions * 0.99);
    forging.signal('SIGTERM');
    await forging.end();
  },
  300_000,
);
