/** The inetds of Debian with the configs of their packages, in which the internal services are turned on. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startXinetdWith } from './inetds.ts';
import { checkout, type Network, temporaryDirectory } from './machine.ts';
import { Program } from './program.ts';

/** Where with-packages.sh unpacks them. */
const unpacked = join(checkout, 'node_modules/.cache/smallservd/daemons');

/** What `import` needs to know. */
export interface PackagedInetd {
  readonly config: string;
  /** Options of `import` for exactly what this inetd serves. */
  readonly options: readonly string[];
  /** Serves the config in a network; resolves when all sockets are open. It ends with the test. */
  start(network: Network): Promise<unknown>;
}

export const packagedInetds = {
  /** Each service over TCP, and twice over UDP. Of its listings of services, it opens neither. */
  xinetd: packagedXinetd,
  'inetutils-inetd': () => packagedInetdConf('inetutils-inetd', ['inetutils-inetd', '-d', '-p'], 'gnu', 4),
  /** Its program is called inetd. It opens a socket for each family. */
  'openbsd-inetd': () => packagedInetdConf('openbsd-inetd', ['inetd', '-d', '-i'], 'openbsd', 12),
} as const satisfies Readonly<Record<string, () => PackagedInetd>>;

/** The number of TCP listeners and UDP sockets in the network of a process. */
function listeningIn(pid: number): number {
  return ['tcp', 'tcp6', 'udp', 'udp6']
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/)[3])
    .filter((state) => state === '0A' || state === '07').length;
}

function packagedXinetd(): PackagedInetd {
  const directory = temporaryDirectory();
  const services = join(directory, 'xinetd.d');
  cpSync(join(unpacked, 'etc/xinetd.d'), services, { recursive: true });
  for (const name of readdirSync(services)) {
    const file = join(services, name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/^(\s*disable\s*= )yes$/gm, '$1no'));
  }
  const config = join(directory, 'xinetd.conf');
  const text = readFileSync(join(unpacked, 'etc/xinetd.conf'), 'utf8');
  writeFileSync(config, text.replace('includedir /etc/xinetd.d', `includedir ${services}`));
  return { config, options: [], start: (network) => startXinetdWith(config, network) };
}

/** These packages write inetd.conf when they are installed: it is in a script, with internal services in comments. */
function packagedInetdConf(name: string, command: readonly string[], dialect: string, sockets: number): PackagedInetd {
  const script = join(unpacked, 'control', name, 'preinst');
  if (!existsSync(script)) throw new Error(`${script} is missing: remove ${unpacked} to have it unpacked again`);
  const [, text] = /<<EOF > \/etc\/inetd\.conf\n(.*?)^EOF$/ms.exec(readFileSync(script, 'utf8')) ?? [];
  if (text === undefined) throw new Error(`${script} writes no inetd.conf`);
  const config = join(temporaryDirectory(), 'inetd.conf');
  writeFileSync(config, text.replaceAll(/^#(?=[a-z]+\t.*\tinternal$)/gm, ''));
  return {
    config,
    options: ['--dialect', dialect],
    async start(network) {
      const program = new Program(network.inside([...command, config]));
      await program.until(() => !program.running || listeningIn(program.pid) >= sockets, `${sockets} sockets`);
      if (!program.running) throw new Error(`${name} ended: ${program.complaints}`);
    },
  };
}
