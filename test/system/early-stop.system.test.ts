/** A start that waits for what does not come: a file system whose server is dead, a resolver that is silent. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { daemonProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip', 'nc', 'unshare', 'mount');

/** Longer than an end at once takes on a loaded machine, and shorter than what it would otherwise wait for. */
const atOnceMs = 5000;

/**
 * A directory, and a file system in it which nobody answers for: the process that serves FUSE would, and there is none
 * (fuse(4)).
 */
function deadDisk(): { directory: string; dead: string; around: (argv: readonly string[]) => readonly string[] } {
  const directory = temporaryDirectory();
  const dead = join(directory, 'dead');
  mkdirSync(dead);
  const mount =
    'exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other none "$0" && exec "$@"';
  return { directory, dead, around: (argv) => ['unshare', '--mount', 'sh', '-c', mount, dead, ...argv] };
}

/**
 * Whether a process has begun to handle its signals: proc_pid_status(5), SigCgt. HUP is the last of those that Node
 * would not catch by itself.
 */
function catchesSignals(pid: number): boolean {
  const caught = /^SigCgt:\t(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${caught}`) & 1n) !== 0n;
}

const echo = { listen: ['tcp://127.0.0.1:1201'] };

function quoting(file: string): object {
  return { type: 'qotd', listen: ['tcp://127.0.0.1:1217'], file };
}

async function failsWithConfig(command: string): Promise<void> {
  const { dead, around } = deadDisk();
  const config = join(dead, 'smallservd.yaml');
  const program = new Program(around([...daemonProgram, command, '--config', config]));
  expect(await program.end(20_000)).toEqual({ code: 78, signal: null });
  expect(program.complaints).toBe(
    `smallservd: cannot read the config ${config}: its file system did not answer within 10 s\n`,
  );
}

async function failsWithQuotations(command: string): Promise<void> {
  const { directory, dead, around } = deadDisk();
  const config = join(directory, 'smallservd.yaml');
  writeFileSync(config, JSON.stringify({ services: { q: quoting(join(dead, 'quotations')) } }));
  const program = new Program(around([...daemonProgram, command, '--config', config]));
  expect(await program.end(20_000)).toEqual({ code: 78, signal: null });
  expect(program.complaints).toMatch(
    / services\.q\.file: \S+ cannot be read: its file system did not answer within 10 s\n$/,
  );
}

async function failsWithLog(): Promise<void> {
  const { directory, dead, around } = deadDisk();
  const config = join(directory, 'smallservd.yaml');
  const file = join(dead, 'directory/log');
  writeFileSync(config, JSON.stringify({ log: { file }, services: { echo } }));
  const daemon = new DaemonProgram(['--config', config], around);
  expect(await daemon.end(20_000)).toEqual({ code: 1, signal: null });
  expect(daemon.complaints).toBe(`smallservd: log.file ${file}: its file system did not answer within 10 s\n`);
}

describe('an unresponsive file system', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('does not delay %s while the config is read', async (signal) => {
    const { dead, around } = deadDisk();
    const daemon = new DaemonProgram(['--config', join(dead, 'smallservd.yaml')], around);
    await daemon.until(() => catchesSignals(daemon.pid), 'the start');
    daemon.signal(signal);
    expect(await daemon.end(atOnceMs)).toEqual({ code: 0, signal: null });
    expect(daemon.output + daemon.complaints).toBe('');
  });

  it('fails check, run and opening the log file with an error after ten seconds', async () => {
    const failing = ['check', 'run'].flatMap((command) => [failsWithConfig(command), failsWithQuotations(command)]);
    await Promise.all([...failing, failsWithLog()]);
  });

  it('does not keep SIGTERM from killing check', async () => {
    const { dead, around } = deadDisk();
    const check = new Program(around([...daemonProgram, 'check', '--config', join(dead, 'smallservd.yaml')]));
    await check.until(
      () => check.running && readFileSync(`/proc/${check.pid}/cmdline`, 'utf8').includes('check'),
      'it',
    );
    check.signal('SIGTERM');
    expect(await check.end(atOnceMs)).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('fails each reload but affects neither the daemon nor its shutdown', async () => {
    const network = Network.make();
    const { directory, dead, around } = deadDisk();
    const config = join(directory, 'smallservd.yaml');
    const quotations = join(dead, 'quotations');
    writeFileSync(config, JSON.stringify({ workers: 2, services: { echo } }));
    const daemon = new DaemonProgram(['--config', config], (argv) => network.inside(around(argv)));
    await daemon.ready();
    writeFileSync(config, JSON.stringify({ workers: 2, services: { echo, q: quoting(quotations) } }));
    const message = 'did not answer within 10 s';
    for (let reloads = 1; reloads <= 2; reloads += 1) {
      daemon.signal('SIGHUP');
      const failed = (): number =>
        daemon.lines.filter(({ msg }) => msg === 'reload failed, keeping the running config').length;
      await daemon.until(() => failed() === reloads, 'the end of the reload', 25_000);
      const { errors } = await daemon.line(
        ({ msg, errors: lines }) =>
          msg === 'reload failed, keeping the running config' && String(lines).includes(message),
        20_000,
      );
      expect(errors).toEqual([expect.stringContaining(`${quotations} cannot be read: its file system ${message}`)]);
      expect(await new Peers(network).tcp('127.0.0.1', 1201, 'served\n')).toBe('served\n');
    }
    daemon.signal('SIGTERM');
    expect(await daemon.end(atOnceMs)).toEqual({ code: 0, signal: null });
    expect(daemon.complaints).toBe('');
  });
});

it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('an unresponsive resolver does not delay %s', async (signal) => {
  const network = Network.make();
  // It would ask for two and a half minutes.
  const resolver = new Peers(network).talk('-u', '-l', '127.0.0.1', '53');
  const directory = temporaryDirectory();
  const config = join(directory, 'smallservd.yaml');
  writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:30 attempts:5\n');
  const machine = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"'];
  writeFileSync(config, JSON.stringify({ services: { echo: { listen: ['tcp://silent.example:1201'] } } }));
  await resolver.until(() => /:0035 /.test(readFileSync(`/proc/${resolver.pid}/net/udp`, 'utf8')), 'the resolver');
  const daemon = new DaemonProgram(['--config', config], (argv) =>
    network.inside([...machine, join(directory, 'resolv.conf'), ...argv]),
  );
  await resolver.until(() => resolver.bytes.length > 0, 'the question');
  daemon.signal(signal);
  expect(await daemon.end(atOnceMs)).toEqual({ code: 0, signal: null });
  expect(daemon.output + daemon.complaints).toBe('');
});
