import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { abbreviate } from '../../src/terminal-text.ts';
import {
  DaemonProcess,
  type LogLine,
  root,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { unprivileged } from '../support/nobody.ts';
import { makeFifo, type OddFile, oddFiles } from '../support/odd-files.ts';
import { TcpClient } from '../support/tcp.ts';
import { until } from '../support/wait.ts';

const isRoot = process.geteuid?.() === 0;
const echo = { listen: ['tcp://127.0.0.1:0'] };

/** A service for each file, which is to read it. */
function quotersOf(files: readonly Pick<OddFile, 'path'>[]): Record<string, object> {
  // A reload may add them, unlike listeners whose port the system chooses.
  const directory = temporaryDirectory();
  return Object.fromEntries(
    files.map(({ path }, index) => [
      `q${index}`,
      { type: 'qotd', listen: [`unix://${directory}/q${index}`], file: path },
    ]),
  );
}

/** What is said of each of them. */
function complaintsOf(files: readonly OddFile[]): readonly string[] {
  return files.map(({ path, message }, index) => ` services.q${index}.file: ${path} cannot be read: ${message}`);
}

describe('a config that is not a readable regular file of bounded size', () => {
  it('fails check and the start without blocking', async () => {
    // As a config that one stands for none.
    const files = (await oddFiles(temporaryDirectory())).filter(({ path }) => path !== '/dev/null');
    for (const { name, path, message } of files) {
      // The start reads it as check does: one of each that would make it wait, or fill its memory.
      const commands = /FIFO with|zero|sparse/.test(name) ? ['check', 'run'] : ['check'];
      const results = await Promise.all(commands.map((command) => runToEnd([command, '--config', path])));
      const stderr = `smallservd: ${abbreviate(`cannot read the config ${path}: ${message}`)}\n`;
      for (const result of results) expect(result, name).toMatchObject({ code: 78, stdout: '', stderr });
    }
  }, 60_000);

  it('is accepted from /dev/stdin if that is a file, but not if it is a pipe', async () => {
    const file = writeConfig({ services: { echo } });
    const program = [process.execPath, join(root, 'dist/smallservd.js')];
    const from = async (script: string): ReturnType<typeof runToEnd> =>
      runToEnd(['check', '--config', '/dev/stdin'], { command: ['sh', '-c', script, file, ...program] });
    expect(await from('exec "$@" <"$0"')).toMatchObject({ code: 0, stderr: '' });
    expect(await from('cat "$0" | "$@"')).toMatchObject({
      code: 78,
      stderr: 'smallservd: cannot read the config /dev/stdin: it is a FIFO or pipe, not a regular file\n',
    });
  });

  it('fails if the user has no permission to read it', async () => {
    const file = writeConfig({ services: { echo } });
    chmodSync(file, 0o000);
    for (const command of ['check', 'run'])
      expect(await runToEnd([command, '--config', file], unprivileged())).toMatchObject({
        code: 78,
        stderr: `smallservd: cannot read the config ${file}: permission denied\n`,
      });
  });

  it('fails a reload and keeps the running config', async () => {
    const directory = temporaryDirectory();
    // The config becomes a link to each of them, and a link has no place for the longest path.
    const files = (await oddFiles(directory)).filter(({ path }) => path.length < 4096);
    const config = join(directory, 'smallservd.yaml');
    writeFileSync(config, JSON.stringify({ workers: 1, services: { echo } }));
    const daemon = DaemonProcess.spawn(['--config', config]);
    await daemon.line('ready');
    for (const [index, { name, path, message }] of files.entries()) {
      symlinkSync(path, `${config}.new`);
      renameSync(`${config}.new`, config);
      daemon.signal('SIGHUP');
      await daemon.waitFor(() => failures(daemon).length > index, `the reload with ${name}`);
      expect(failures(daemon)[index], name).toMatchObject({
        code: 'CONFIG_UNREADABLE',
        errors: [`cannot read the config ${config}: ${message}`],
      });
    }
    await echoes(daemon);
    expect(await daemon.stop()).toBe(0);
  }, 60_000);
});

describe('a quotation file that is not a readable regular file of bounded size', () => {
  it('fails check and the start without blocking', async () => {
    const files = await oddFiles(temporaryDirectory(), 4);
    const config = writeConfig({ services: quotersOf(files) });
    for (const command of ['check', 'run']) {
      const { code, stdout, stderr } = await runToEnd([command, '--config', config]);
      for (const complaint of complaintsOf(files)) expect(stderr).toContain(abbreviate(complaint));
      expect(stderr.trimEnd().split('\n')).toHaveLength(files.length);
      expect(code).toBe(78);
      // Under root it is the workers who find it, as they open what the config names.
      expect(stdout).not.toContain('"msg":"ready"');
    }
  });

  it('fails if the user has no permission to read it', async () => {
    const path = join(temporaryDirectory(), 'quotations');
    writeFileSync(path, 'Quoth.\n', { mode: 0o000 });
    const config = writeConfig({ services: quotersOf([{ path }]) });
    const { code, stderr } = await runToEnd(['check', '--config', config], unprivileged());
    expect(stderr).toContain(` services.q0.file: ${path} cannot be read: permission denied\n`);
    expect(code).toBe(78);
  });

  it('fails a reload and keeps the running config', async () => {
    const files = await oddFiles(temporaryDirectory(), 4);
    const config = writeConfig({ workers: 1, services: { echo } });
    const daemon = DaemonProcess.spawn(['--config', config]);
    await daemon.line('ready');
    writeFileSync(config, JSON.stringify({ workers: 1, services: { echo, ...quotersOf(files) } }));
    daemon.signal('SIGHUP');
    const { errors } = await daemon.line('reload failed, keeping the running config');
    const text = (errors as readonly string[]).join('\n');
    for (const complaint of complaintsOf(files)) expect(text).toContain(complaint);
    await echoes(daemon);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a log file under the control of another user', () => {
  /** What to put in the place of a log file, and what is said of it. */
  const traps: readonly (readonly [name: string, set: (file: string, victim: string) => void, message: RegExp])[] = [
    ['a symbolic link', (file, victim) => symlinkSync(victim, file), /it is a symbolic link, not a regular file$/],
    ['a FIFO', (file) => makeFifo(file), /it is a FIFO or pipe, not a regular file$/],
    [
      'a world-writable directory',
      (file) => chmodSync(join(file, '..'), 0o777),
      /everybody can write to the directory \S+ \(uid \d+, mode 0777\)/,
    ],
    [
      'a directory of another user',
      (file) => chownSync(join(file, '..'), 4002, 4002),
      /belongs to uid 4002: expected uid 0 or 65534$/,
    ],
  ];
  const possible = traps.filter(([name]) => isRoot || !name.includes('another user'));

  it.each(possible)('is refused at the start: %s', async (_name, set, message) => {
    const { file, victim } = place();
    set(file, victim);
    const config = writeConfig({ log: { file }, services: { echo } });
    const { code, stdout, stderr } = await runToEnd(['--config', config]);
    expect(stderr.trimEnd()).toMatch(message);
    expect(stderr).toContain(`smallservd: log.file ${file}: `);
    expect(code).toBe(/everybody|belongs/.test(stderr) ? 77 : 1);
    expect(stdout).toBe('');
    expect(readFileSync(victim, 'utf8')).toBe('precious\n');
  });

  it.each(possible)('is refused on SIGHUP and the old file stays in use: %s', async (_name, set, message) => {
    const { directory, file, victim } = place();
    const config = writeConfig({ workers: 1, log: { file }, services: { echo } });
    const daemon = DaemonProcess.spawn(['--config', config]);
    await until(() => linesOf(file).some(({ msg }) => msg === 'ready'), 'ready');
    const moved = `${directory}.moved`;
    renameSync(file, moved);
    set(file, victim);
    daemon.signal('SIGHUP');
    await until(() => linesOf(moved).some(({ msg }) => msg === 'config reloaded'), 'the reload');
    const refusal = linesOf(moved).find(({ msg }) => msg === 'cannot reopen the log file, keeping the old one');
    expect(refusal).toMatchObject({ level: 'error', error: expect.stringMatching(message) });
    expect(readFileSync(victim, 'utf8')).toBe('precious\n');
    expect(await daemon.stop()).toBe(0);
    expect(linesOf(moved).at(-1)).toMatchObject({ msg: 'stopped' });
    expect(daemon.stdout + daemon.stderr).toBe('');
  });

  it.skipIf(!isRoot)('is accepted in a directory of the user of the workers, but not of another user', async () => {
    const { directory, file } = place();
    chownSync(directory, 65_534, 65_534);
    const config = writeConfig({ user: '65534', group: '65534', log: { file }, services: { echo } });
    const daemon = DaemonProcess.spawn(['--config', config]);
    await until(() => existsSync(file) && linesOf(file).some(({ msg }) => msg === 'ready'), 'ready');
    expect(await daemon.stop()).toBe(0);
    chownSync(directory, 4002, 4002);
    expect(await runToEnd(['--config', config])).toMatchObject({
      code: 77,
      stderr: `smallservd: log.file ${file}: the directory ${directory} belongs to uid 4002: expected uid 0 or 65534\n`,
    });
  });

  it.skipIf(!isRoot)('is accepted in a directory of the new user after a reload, but not of the old user', async () => {
    const { directory, file } = place();
    const of = (id: number): object => ({
      workers: 1,
      user: `${id}`,
      group: `${id}`,
      log: { file },
      services: { echo },
    });
    const config = writeConfig(of(65_534));
    const daemon = DaemonProcess.spawn(['--config', config]);
    await until(() => linesOf(file).some(({ msg }) => msg === 'ready'), 'ready');
    writeFileSync(config, JSON.stringify(of(4002)));
    daemon.signal('SIGHUP');
    await until(() => linesOf(file).some(({ msg }) => msg === 'config reloaded'), 'the reload');
    chownSync(directory, 4002, 4002);
    const moved = `${directory}.moved`;
    renameSync(file, moved);
    daemon.signal('SIGUSR1');
    await until(() => linesOf(file).some(({ msg }) => msg === 'log file reopened'), 'the new file');
    chownSync(directory, 65_534, 65_534);
    daemon.signal('SIGUSR1');
    const refused = 'cannot reopen the log file, keeping the old one';
    await until(() => linesOf(file).some(({ msg }) => msg === refused), 'the refusal');
    expect(await daemon.stop()).toBe(0);
  });
});

/** A log file that is not there yet, in its directory, and a file that nobody may write to. */
function place(): { directory: string; file: string; victim: string } {
  const outer = temporaryDirectory(0o755);
  const directory = join(outer, 'log');
  mkdirSync(directory, { mode: 0o755 });
  const victim = join(outer, 'victim');
  writeFileSync(victim, 'precious\n');
  return { directory, file: join(directory, 'smallservd.log'), victim };
}

function failures(daemon: DaemonProcess): readonly LogLine[] {
  return daemon.linesWith('reload failed, keeping the running config');
}

/** The whole lines of a log file. */
function linesOf(file: string): readonly LogLine[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => JSON.parse(line) as LogLine);
}

async function echoes(daemon: DaemonProcess): Promise<void> {
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  client.finish('served');
  expect((await client.takeAll()).toString()).toBe('served');
}
