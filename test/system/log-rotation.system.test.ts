import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, run } from './program.ts';

needs('logrotate', 'ip', 'nc', 'unshare', 'mount');

it('logrotate moves the log away, and the daemon goes on in a new one', async () => {
  const directory = temporaryDirectory();
  const network = Network.make();
  const log = join(directory, 'log');
  const file = join(log, 'smallservd.log');
  mkdirSync(log);
  const daemon = new DaemonProgram(['--set', `log.file=${file}`], (argv) => network.inside(argv));
  const until = async (fits: () => boolean, what: string): Promise<void> => daemon.until(fits, what);
  const written = (): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  await until(() => written().includes('"msg":"ready"'), 'a daemon that is ready');
  // In place of the systemd that the machine does not run.
  const systemctl = `#!/bin/sh
echo "$*" >> ${directory}/orders
case "$*" in
  '--quiet is-active smallservd.service') exit 0 ;;
  'kill --kill-whom=main --signal=USR1 smallservd.service') kill -USR1 ${daemon.pid} ;;
  *) exit 3 ;;
esac
`;
  mkdirSync(join(directory, 'bin'));
  writeFileSync(join(directory, 'bin/systemctl'), systemctl, { mode: 0o755 });
  const script = `mkdir -p /var/log/smallservd && mount --bind ${log} /var/log/smallservd && exec logrotate --force \
    --state ${directory}/state ${join(checkout, 'deploy/logrotate/smallservd')}`;
  const env = { PATH: `${directory}/bin:${process.env['PATH']}` };
  for (const rotation of [1, 2]) {
    const before = written();
    const logrotate = await run(['unshare', '--mount', 'sh', '-c', script], { env });
    expect((await logrotate.end()).code, logrotate.complaints).toBe(0);
    expect(logrotate.complaints).toBe('');
    expect(readFileSync(`${file}.1`, 'utf8').startsWith(before)).toBe(true);
    await until(() => written().includes('"msg":"log file reopened"'), 'the next file');
    expect(await new Peers(network).tcp('127.0.0.1', 1201, `${rotation}\n`)).toBe(`${rotation}\n`);
    await until(() => written().includes('"msg":"closed"'), 'a line in it');
  }
  // The oldest is compressed by then.
  expect(readdirSync(log).toSorted()).toEqual(['smallservd.log', 'smallservd.log.1', 'smallservd.log.2.gz']);
  expect(readFileSync(join(directory, 'orders'), 'utf8').match(/USR1 smallservd\.service/g)?.length).toBe(2);
});
