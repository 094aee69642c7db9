/** The network in which the sessions of the documents take place. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startInetd } from './inetds.ts';
import { checkout, clientProgram, daemonProgram, Network, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

const hosts = `127.0.0.1    localhost
::1          localhost
192.0.2.2    xinetd.example
192.0.2.6    inetd.example
192.0.2.10   www.example web
2001:db8::2  www.example web
192.0.2.14   silent.example
192.0.2.22   narrow.example
`;

/** Answers every request alike, on port 80, and on port 443 with the key and the certificate of this directory. */
const webServer = `const answer = (request, response) => {
  response.setHeader('Content-Type', 'text/html').end('<p>Hello\\n');
};
const [key, cert] = ['www.key', 'www.pem'].map((name) => require('node:fs').readFileSync(name));
const secure = require('node:https').createServer({ key, cert }, answer);
const plain = require('node:http').createServer(answer);
secure.listen(443, () => plain.listen(80, () => console.log('ready')));`;

/**
 * A machine with smallservd as shipped, and cables to others: two inetds, a web server, one that does not answer, and a
 * router to one behind a cable that takes packets of 1400 bytes.
 */
export interface Lab {
  /** The command line that runs another on that machine, with `smallserv` and `smallservd` in PATH. */
  inside(argv: readonly string[]): readonly string[];
  /** Where the commands run. Modules there find this package under its name. */
  readonly directory: string;
}

/** Starts it all, and resolves when all listen. It ends with the test. */
export async function startLab(): Promise<Lab> {
  const network = Network.make();
  await startDaemon(network);
  await startInetd('xinetd', neighbour(network, '192.0.2.1/30', '192.0.2.2/30'));
  await startInetd('inetutils-inetd', neighbour(network, '192.0.2.5/30', '192.0.2.6/30'));
  const web = neighbour(network, '192.0.2.9/30', '192.0.2.10/30', ['2001:db8::1/64', '2001:db8::2/64']);
  const directory = temporaryDirectory();
  makeCertificate(directory);
  await new Program(web.inside([process.execPath, '--eval', webServer]), { directory }).says(/ready/);
  makeNarrowPath(network);
  // Frames to the silent host leave, and no card takes them.
  const { near } = network.join(Network.make(), ['192.0.2.13/30'], []);
  network.ip('neigh', 'add', '192.0.2.14', 'lladdr', '02:00:00:00:00:09', 'dev', near);

  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(checkout, join(directory, 'node_modules/smallservd'));
  const programs = writePrograms();
  const files = Object.entries({ '/etc/hosts': hosts, '/etc/resolv.conf': 'nameserver 127.0.0.1\n' });
  const mounts = files.map(([path, text]) => `mount --bind '${fileWith(text)}' ${path} && `).join('');
  const machine = `${mounts}PATH='${programs}':$PATH exec "$@"`;
  return {
    directory,
    inside: (argv) => network.inside(['unshare', '--mount', 'sh', '-c', machine, 'sh', ...argv]),
  };
}

/** Self-signed, for www.example and ninety days. */
function makeCertificate(directory: string): void {
  const files = ['-keyout', 'www.key', '-out', 'www.pem', '-days', '90'];
  const name = ['-subj', '/CN=www.example', '-addext', 'subjectAltName=DNS:www.example'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, ...name], { cwd: directory, stdio: 'pipe' });
}

async function startDaemon(network: Network): Promise<void> {
  await new DaemonProgram([], (argv) => network.inside(argv)).ready();
}

/** A router, and a machine behind it. */
function makeNarrowPath(network: Network): void {
  const [router, behind] = [neighbour(network, '192.0.2.17/30', '192.0.2.18/30'), Network.make()];
  const cable = router.join(behind, ['192.0.2.21/30'], ['192.0.2.22/30']);
  router.ip('link', 'set', cable.near, 'mtu', '1400');
  behind.ip('link', 'set', cable.far, 'mtu', '1400');
  router.set('net/ipv4/ip_forward', 1);
  network.ip('route', 'add', '192.0.2.22', 'via', '192.0.2.18');
  behind.ip('route', 'add', 'default', 'via', '192.0.2.21');
}

/** Another machine, at the end of a cable. */
function neighbour(network: Network, near: string, far: string, ipv6: readonly string[] = []): Network {
  const other = Network.make();
  network.join(other, [near, ...ipv6.slice(0, 1)], [far, ...ipv6.slice(1)]);
  return other;
}

function fileWith(text: string): string {
  const file = join(temporaryDirectory(), 'file');
  writeFileSync(file, text);
  return file;
}

/** A directory with the two commands, as an installation has it. */
export function writePrograms(): string {
  const directory = temporaryDirectory();
  for (const [name, argv] of Object.entries({ smallserv: clientProgram, smallservd: daemonProgram })) {
    const command = argv.map((part) => `'${part}'`).join(' ');
    writeFileSync(join(directory, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  }
  return directory;
}
