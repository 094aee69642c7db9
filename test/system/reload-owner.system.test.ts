/** `smallservd reload` as root and as others, before daemons and impostors of several users. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { snapshot } from '../unit/server/admin/snapshot.ts';
import { writeConfig } from '../support/daemon-process.ts';
import { childrenOf, commandOf, daemonProgram, identityOf, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program, run } from './program.ts';

needs('ip', 'setpriv');

const nobody = 65_534;
const somebody = 47_110;
const endpoint = 'tcp://127.0.0.1:9013';

function as(uid: number, ...flags: readonly string[]): readonly string[] {
  return ['setpriv', ...flags, '--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
}

async function serve(network: Network, around: readonly string[] = [], listen = endpoint): Promise<DaemonProgram> {
  const config = writeConfig({ workers: 1, admin: { listen }, services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
  const daemon = new DaemonProgram(['--config', config], (argv) => network.inside([...around, ...argv]), {
    directory: '/',
  });
  await daemon.ready();
  return daemon;
}

async function reload(network: Network, around: readonly string[] = [], admin = endpoint) {
  const command = await run(network.inside([...around, ...daemonProgram, 'reload', '--admin', admin]), {
    directory: '/',
  });
  return { code: (await command.end()).code, complaints: command.complaints };
}

function reloads(daemon: DaemonProgram): number {
  return daemon.lines.filter(({ msg }) => msg === 'reloading').length;
}

/** An endpoint of somebody's own that names this process. */
async function impersonate(network: Network, pid: number, uid: number, port: number): Promise<void> {
  const answer = JSON.stringify(snapshot({ pid }));
  const script = `require('node:http').createServer((_, response) => response.setHeader('Server', 'smallservd').end(
    ${JSON.stringify(answer)})).listen(${port}, '127.0.0.1', () => console.log('here'))`;
  // In its command line it calls itself as the daemon does.
  const impostor = new Program(network.inside([...as(uid), process.execPath, '-e', script, '/smallservd.js']), {
    directory: '/',
  });
  await impostor.says(/here/);
}

it.each([endpoint, 'tcp://*:9013', 'unix'])(
  'root reloads a root daemon whose endpoint at %s is served by an unprivileged child',
  async (where) => {
    const listen = where === 'unix' ? `unix://${join(temporaryDirectory(0o1777), 'admin.sock')}` : where;
    const network = Network.make();
    const daemon = await serve(network, [], listen);
    const child = childrenOf(daemon.pid).find((pid) => commandOf(pid).includes('admin/child.js')) ?? 0;
    expect(identityOf(child).uids).toEqual([nobody, nobody, nobody, nobody]);
    expect(await reload(network, [], listen.replace('*', '127.0.0.1'))).toEqual({ code: 0, complaints: '' });
    expect(reloads(daemon)).toBe(1);
  },
);

it('only root and its own user can reload a daemon whose descriptors are hidden by a capability', async () => {
  const network = Network.make();
  const capability = ['--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service'];
  const daemon = await serve(network, as(nobody, ...capability));
  expect(await reload(network)).toEqual({ code: 0, complaints: '' });
  expect(await reload(network, as(nobody))).toEqual({ code: 0, complaints: '' });
  expect(reloads(daemon)).toBe(2);
  const { code, complaints } = await reload(network, as(somebody));
  expect(code).toBe(1);
  expect(complaints).toMatch(/not signaled: it belongs to another user, and its descriptors are hidden\./);
});

it('reload does not signal a process named by an impostor endpoint', async () => {
  const network = Network.make();
  const [ofRoot, ofNobody] = [await serve(network), await serve(network, as(nobody), 'tcp://127.0.0.1:9014')];
  let port = 9100;
  for (const pid of [ofRoot.pid, ofNobody.pid]) {
    for (const uid of [somebody, nobody]) {
      port += 1;
      await impersonate(network, pid, uid, port);
      for (const around of [[], as(nobody)]) {
        const { code, complaints } = await reload(network, around, `tcp://127.0.0.1:${port}`);
        expect(code).toBe(1);
        expect(complaints).toMatch(/not signaled: /);
      }
    }
  }
  for (const daemon of [ofRoot, ofNobody]) {
    daemon.signal('SIGTERM');
    await daemon.end();
    expect(reloads(daemon)).toBe(0);
  }
});

it('reload does not signal a daemon named by an impostor at a UNIX socket, whatever the tables say', async () => {
  const network = Network.make();
  const victim = await serve(network);
  const directory = temporaryDirectory(0o1777);
  const path = join(directory, 'admin.sock');
  // Bound under another name, then renamed: the table keeps the first. A second socket's name looks like a row of it.
  const script = `
    const { createServer } = require('node:http');
    const { readFileSync, renameSync } = require('node:fs');
    const row = readFileSync('/proc/net/tcp', 'utf8').split('\\n').find((each) => each.includes(':2335 ')) ?? '';
    const inode = row.trim().split(/\\s+/)[9];
    const forged = '\\0x\\n0: 00000002 00000000 00010000 0001 01 ' + inode + ' ${path}\\n';
    require('node:net').createServer().listen(forged);
    createServer((_, response) => response.setHeader('Server', 'smallservd').end(${JSON.stringify(JSON.stringify(snapshot({ pid: victim.pid })))}))
      .listen('${directory}/o', () => {
        renameSync('${directory}/o', '${path}');
        require('node:fs').chmodSync('${path}', 0o777);
        console.log('here', inode);
      });`;
  const impostor = new Program(network.inside([...as(somebody), process.execPath, '-e', script, '/smallservd.js']), {
    directory: '/',
  });
  await impostor.says(/here \d+/);
  const { code, complaints } = await reload(network, [], `unix://${path}`);
  expect(code).toBe(1);
  expect(complaints).toMatch(/not signaled: another process listens there/);
  expect(reloads(victim)).toBe(0);
});

it('reload does not signal a daemon in another network namespace', async () => {
  const [network, other] = [Network.make(), Network.make()];
  const daemon = await serve(other);
  await impersonate(network, daemon.pid, somebody, 9013);
  const { code, complaints } = await reload(network);
  expect(code).toBe(1);
  expect(complaints).toMatch(/not signaled: it does not hold the socket\./);
  expect(reloads(daemon)).toBe(0);
});
