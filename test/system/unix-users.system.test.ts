import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

needs('nc', 'setpriv', 'unshare');

const [alice, bob] = [61_000, 61_001];
const subordinate = 7_000_000;

interface Served {
  readonly daemon: DaemonProgram;
  /** Connects as a user, who says a line. */
  readonly connect: (uid: number) => Program;
}

/** Serves echo on a UNIX socket that everybody may use. */
async function serve(limits: readonly string[], around: readonly string[] = [], workers = 0): Promise<Served> {
  const path = join(temporaryDirectory(), 'echo.sock');
  const keys = [`workers=${workers}`, 'user=root', `services.echo.listen=[unix://${path}]`];
  const sets = [...keys, ...limits.map((each) => `services.echo.${each}`)].flatMap((each) => ['--set', each]);
  const daemon = new DaemonProgram(['--config', '/dev/null', ...sets], (argv) => [...around, ...argv]);
  await daemon.ready();
  chmodSync(path, 0o777);
  const connect = (uid: number): Program => {
    const become = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const client = new Program([...become, 'nc', '-N', '-U', path]);
    client.type('here\n');
    return client;
  };
  return { daemon, connect };
}

/** Whether it is answered. A refused client ends. */
async function isServed(client: Program): Promise<boolean> {
  await client.until(() => client.output !== '' || !client.running, 'an answer or a refusal');
  return client.output === 'here\n';
}

it('maxConnectionsPerSource applies to each user separately', async () => {
  const { daemon, connect } = await serve(['maxConnectionsPerSource=2']);
  const clients = [connect(alice), connect(alice)];
  for (const client of clients) expect(await isServed(client)).toBe(true);
  expect([await isServed(connect(alice)), await isServed(connect(bob))]).toEqual([false, true]);
  // Root is a user like the others.
  expect([await isServed(connect(0)), await isServed(connect(0)), await isServed(connect(0))]).toEqual([
    true,
    true,
    false,
  ]);
  for (const client of clients) client.endInput();
  const line = await daemon.line(({ msg }) => msg === 'closed');
  expect(line).toMatchObject({ peer: `unix:${alice}`, bytesIn: 5, reason: 'completed' });
});

it('a user who holds all connections loses one to a new user', async () => {
  const { daemon, connect } = await serve(['maxConnections=3']);
  const first = [connect(alice)];
  expect(await isServed(first[0] as Program)).toBe(true);
  for (const client of [connect(alice), connect(alice)]) expect(await isServed(client)).toBe(true);
  expect(await isServed(connect(alice))).toBe(false);
  expect(await isServed(connect(bob))).toBe(true);
  const line = await daemon.line(({ msg }) => msg === 'closed');
  expect(line).toMatchObject({ peer: `unix:${alice}`, reason: 'evicted' });
  await first[0]?.end();
});

it('a user and its subordinate UIDs count as one source', async () => {
  const subuid = join(temporaryDirectory(), 'subuid');
  writeFileSync(subuid, `${alice}:${subordinate}:1000\n`);
  // For the daemon alone.
  const bind = `touch /etc/subuid && mount --bind ${subuid} /etc/subuid && exec "$@"`;
  const around = ['unshare', '--mount', 'sh', '-c', bind, 'sh'];
  const { connect } = await serve(['maxConnectionsPerSource=2'], around);
  for (const uid of [subordinate, subordinate + 999]) expect(await isServed(connect(uid))).toBe(true);
  for (const uid of [alice, subordinate + 7]) expect(await isServed(connect(uid))).toBe(false);
  for (const uid of [bob, subordinate + 1000]) expect(await isServed(connect(uid))).toBe(true);
});

it.each([
  ['workers', [], 2],
  ['a daemon in its own PID namespace', ['unshare', '--pid', '--fork', '--kill-child'], 0],
])('users are identified with %s', async (_how, around, workers) => {
  const { daemon, connect } = await serve([], around, workers);
  for (const uid of [alice, bob]) {
    const client = connect(uid);
    expect(await isServed(client)).toBe(true);
    client.endInput();
    await daemon.line(({ msg, peer }) => msg === 'closed' && peer === `unix:${uid}`);
  }
});
