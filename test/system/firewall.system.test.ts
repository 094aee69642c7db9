import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, run } from './program.ts';

needs('nft', 'ip', 'nc', 'unshare', 'mount', 'firewall-offline-cmd', 'ufw');

const snippets = join(checkout, 'deploy/firewall');
/** Where test/system/with-packages.sh has unpacked them. */
const unpacked = join(checkout, 'node_modules/.cache/smallservd/daemons');

/** What a firewall prints about our snippet, as if both were installed. */
async function ask(...argv: readonly string[]): Promise<string> {
  const etc = temporaryDirectory();
  mkdirSync(join(etc, 'firewalld/services'), { recursive: true });
  mkdirSync(join(etc, 'ufw/applications.d'), { recursive: true });
  copyFileSync(join(snippets, 'smallservd.xml'), join(etc, 'firewalld/services/smallservd.xml'));
  copyFileSync(join(snippets, 'smallservd.ufw'), join(etc, 'ufw/applications.d/smallservd'));
  // As its installation would do.
  for (const directory of ['usr/share/ufw', 'usr/share/ufw/iptables'])
    cpSync(join(unpacked, directory), join(etc, 'ufw'), { recursive: true });
  const mounts = [
    `mount -t overlay overlay -o lowerdir=${unpacked}/usr:/usr /usr`,
    `mount -t overlay overlay -o lowerdir=${unpacked}/lib:/usr/lib /usr/lib`,
    `mount -t overlay overlay -o lowerdir=${etc}:${unpacked}/etc:/etc /etc`,
  ];
  const program = await run([
    'unshare',
    '--mount',
    '--net',
    'sh',
    '-c',
    `${mounts.join(' && ')} && exec "$@"`,
    'sh',
    ...argv,
  ]);
  expect((await program.end()).code, program.complaints).toBe(0);
  return program.output;
}

it('firewalld and ufw know the ports', async () => {
  const [check, service, application] = await Promise.all([
    ask('firewall-offline-cmd', '--check-config'),
    ask('firewall-offline-cmd', '--info-service=smallservd'),
    ask('ufw', 'app', 'info', 'smallservd'),
  ]);
  expect(check).toMatch(/^(success\n)?$/);
  expect(service).toContain(
    '\n  ports: 7/tcp 7/udp 9/tcp 9/udp 11/tcp 13/tcp 13/udp 17/tcp 19/tcp 37/tcp 37/udp 862/udp\n',
  );
  expect(application).toContain('\n  7,9,11,13,17,19,37/tcp\n  7,9,13,37,862/udp\n');
});

it('nftables lets clients of the services in, and nobody else', async () => {
  const network = Network.make();
  const rules = join(temporaryDirectory(), 'rules.nft');
  const base = 'type filter hook input priority 0; policy drop; ct state established,related accept';
  const include = `include "${join(snippets, 'smallservd.nft')}"`;
  writeFileSync(rules, `table inet filter {\n  chain input {\n    ${base}\n    ${include}\n  }\n}\n`);
  for (const options of [['-c', '-f'], ['-f']]) {
    const nft = await run(network.inside(['nft', ...options, rules]));
    expect((await nft.end()).code, nft.complaints).toBe(0);
  }
  const config = join(checkout, 'config/well-known.yaml');
  const daemon = new DaemonProgram(['--config', config], (argv) => network.inside(argv));
  await daemon.ready();
  const peers = new Peers(network);
  const [tcp, udp, admin] = await Promise.all([
    peers.tcp('127.0.0.1', 7, 'in\n'),
    peers.udp('::1', 7, 'in\n'),
    run(network.inside(['nc', '-z', '-w', '1', '127.0.0.1', '9013'])).then(async (nc) => nc.end()),
  ]);
  expect([tcp, udp]).toEqual(['in\n', 'in\n']);
  expect(admin.code).not.toBe(0);
});
