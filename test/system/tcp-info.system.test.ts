/** What the log tells at level debug about the path of a TCP client. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Network, needs } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram } from './program.ts';

needs('ip', 'nc');

const port = 1201;

/** How often the kernel has sent what a connection of the daemon has not acknowledged: proc(5), column retrnsmt. */
function retransmitsOf(pid: number): number {
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n');
  const row = rows
    .map((each) => each.trim().split(/\s+/))
    .find(([, local, , state]) => local?.endsWith(':04B1') && state === '01');
  return Number.parseInt(row?.[6] ?? '0', 16);
}

it('counts the segments that were sent again', async () => {
  const [server, client] = [Network.make(), Network.make()];
  const { near, far } = server.join(client, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const set = [`services.echo.listen=tcp://192.0.2.1:${port}`, 'workers=1', 'log.level=debug'];
  const daemon = new DaemonProgram(
    set.flatMap((each) => ['--set', each]),
    (argv) => server.inside(argv),
  );
  await daemon.ready();
  const nc = new Peers(client).talk('-N', '192.0.2.1', String(port));
  nc.type('first\n');
  await nc.says(/first/);
  const [command = '', ...args] = client.inside(['cat', `/sys/class/net/${far}/address`]);
  const hardware = execFileSync(command, args, { encoding: 'utf8' }).trim();
  const toward = (address: string): void =>
    server.ip('neighbor', 'replace', '192.0.2.2', 'lladdr', address, 'dev', near, 'nud', 'permanent');
  // Frames for another card: what the server sends is lost, what the client sends arrives.
  toward('02:00:00:00:00:01');
  nc.type('second\n');
  await daemon.until(() => retransmitsOf(daemon.pid) > 0, 'a retransmit');
  toward(hardware);
  await nc.says(/second/);
  nc.endInput();
  await nc.end();
  const { retransmits, rttMs } = await daemon.line(({ msg }) => msg === 'closed');
  expect(retransmits).toBeGreaterThan(0);
  expect(rttMs).toBeGreaterThan(0);
});
