/** UDP answers that are too large for a link on their way. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram } from './program.ts';

needs('ip', 'nc');

const port = 1201;
const large = `${'x'.repeat(1399)}\n`;

/** A client behind a router, and a link that carries packets of at most 1280 bytes. It has ten addresses each. */
function narrowPath(): { server: Network; client: Network } {
  const [server, router, client] = [Network.make(), Network.make(), Network.make()];
  server.join(router, ['192.0.2.1/25', '2001:db8:1::1/64'], ['192.0.2.2/25', '2001:db8:1::2/64']);
  const hosts = Array.from({ length: 10 }, (_, index) => index + 1);
  const { near, far } = router.join(
    client,
    ['192.0.2.254/25', '2001:db8:2::fe/64'],
    hosts.flatMap((host) => [`192.0.2.${128 + host}/25`, `2001:db8:2::${host}/64`]),
  );
  router.ip('link', 'set', near, 'mtu', '1280');
  client.ip('link', 'set', far, 'mtu', '1280');
  router.set('net/ipv4/ip_forward', 1);
  router.set('net/ipv6/conf/all/forwarding', 1);
  server.ip('route', 'add', 'default', 'via', '192.0.2.2');
  server.ip('route', 'add', 'default', 'via', '2001:db8:1::2');
  client.ip('route', 'add', 'default', 'via', '192.0.2.254');
  client.ip('route', 'add', 'default', 'via', '2001:db8:2::fe');
  return { server, client };
}

it.each(['sockets=kernel', 'sockets=node'])(
  'over IPv4, the first one arrives only with fragment, with %s',
  async (sockets) => {
    const { server, client } = narrowPath();
    const config = join(temporaryDirectory(), 'smallservd.yaml');
    const write = (fragment: boolean): void => {
      const echo = { listen: [`udp://*:${port}`], exposeUdp: true, fragment };
      writeFileSync(config, JSON.stringify({ workers: 2, services: { echo } }));
    };
    write(false);
    const daemon = new DaemonProgram(['--config', config, '--set', sockets], (argv) => server.inside(argv));
    await daemon.ready();
    let host = 0;
    /** From addresses of the client to which nothing was sent before: the server learns what their path carries. */
    const answers = async (): Promise<readonly string[]> => {
      host += 1;
      const peers = new Peers(client);
      const ask = async (to: string, from: string): Promise<readonly string[]> => {
        await ready(peers, to, from);
        return [await peers.udp(to, port, large, from), await peers.udp(to, port, large, from)];
      };
      const families = [ask('192.0.2.1', `192.0.2.${128 + host}`), ask('2001:db8:1::1', `2001:db8:2::${host}`)];
      return (await Promise.all(families)).flat();
    };
    // The server fragments the second itself: it has learned what the path carries.
    expect(await answers()).toEqual(['', large, '', large]);
    for (const [turn, fragment] of [true, false].entries()) {
      write(fragment);
      daemon.signal('SIGHUP');
      await daemon.until(() => daemon.lines.filter(({ msg }) => msg === 'config reloaded').length > turn, 'a reload');
      expect(await answers()).toEqual([fragment ? large : '', large, '', large]);
    }
  },
);

/** Resolves when a small answer comes. The first may be lost: a link-local address of the router may be tentative. */
async function ready(peers: Peers, to: string, from: string): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) if ((await peers.udp(to, port, 'small\n', from)) === 'small\n') return;
  throw new Error(`no small answer from ${to}`);
}
