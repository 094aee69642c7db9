import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf } from '../repository/files.ts';
import { copyPackages } from '../support/packages.ts';
import { checkout, familyOf, needs } from './machine.ts';
import { kill } from './program.ts';

needs('systemd-analyze', 'systemd-nspawn', 'dbus-daemon', 'unshare', 'mount', 'dpkg-deb');

/** How long all that happens in the container may take. */
const bootedMs = 210_000;

/** What booted.js found in one step: what became of a command, say. */
type Finding = Readonly<Record<string, unknown>>;

const directory = mkdtempSync(join(tmpdir(), 'smallservd-systemd-'));
const installed = join(directory, 'smallservd');
const units = join(installed, 'systemd');
let container: ChildProcess | undefined;
let containerOutput = '';
const findings = new Map<string, Finding>();

beforeAll(async () => {
  chmodSync(directory, 0o755);
  stagePackage();
  await boot();
}, bootedMs + 30_000);

afterAll(async () => {
  if (container?.pid !== undefined) for (const pid of familyOf(container.pid)) kill(pid, 'SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** The package as npm installs it from what `npm pack` makes. */
function stagePackage(): void {
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', directory], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ filename }] = JSON.parse(String(packed)) as [{ filename: string }];
  mkdirSync(installed);
  execFileSync('tar', ['-xzf', join(directory, filename), '-C', installed, '--strip-components=1', '--no-same-owner']);
  copyPackages(installed);
  chmodSync(join(installed, 'dist/smallservd.js'), 0o755);
  execFileSync('chmod', ['-R', 'a+rX', installed]);
}

/** The path of the file. */
function buildDebianPackage(): string {
  const built = join(directory, 'deb');
  mkdirSync(built);
  execFileSync(process.execPath, [join(checkout, 'scripts/package-deb.js'), built], { stdio: 'ignore' });
  return join(built, readdirSync(built).find((name) => name.endsWith('.deb')) ?? 'there is none');
}

/**
 * Boots systemd on this machine's files, of which it changes none, in a network of its own; it runs booted.js and
 * powers off. Resolves when it has, with what that has found.
 */
async function boot(): Promise<void> {
  const found = join(directory, 'found');
  const machine = join(directory, 'machine');
  for (const each of [found, machine]) mkdirSync(each);
  copyFileSync(join(checkout, 'test/system/booted.js'), join(found, 'booted.mjs'));
  copyFileSync(buildDebianPackage(), join(found, 'smallservd.deb'));
  writeFileSync(
    join(directory, 'booted.service'),
    `[Unit]
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
ExecStart=/usr/bin/node /found/booted.mjs /found/findings
ExecStopPost=/bin/systemctl poweroff --no-block
`,
  );
  const nspawn = [
    'systemd-nspawn',
    '--quiet',
    `--directory=${machine}`,
    '--volatile=overlay',
    '--private-network',
    '--register=no',
    '--keep-unit',
    `--bind=${found}:/found`,
    `--bind-ro=${installed}:/usr/lib/smallservd`,
    `--bind-ro=${process.execPath}:/usr/bin/node`,
    `--bind-ro=${directory}/booted.service:/etc/systemd/system/booted.service`,
    '--boot',
    '--',
    '--unit=booted.service',
  ];
  // In a mount namespace of its own: the bind mount goes with it. The end comes in time even where this process is
  // killed.
  const script = 'mount --bind / "$0" && exec "$@"';
  const bounded = ['--signal=KILL', String(bootedMs / 1000), 'unshare', '--mount', 'sh', '-c', script, machine];
  const child = spawn('timeout', [...bounded, ...nspawn], { stdio: ['ignore', 'pipe', 'pipe'] });
  container = child;
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      containerOutput = (containerOutput + text).slice(-20_000);
    });
  await once(child, 'close');
  const lines = existsSync(join(found, 'findings')) ? readFileSync(join(found, 'findings'), 'utf8').split('\n') : [];
  for (const line of lines.filter((each) => each !== '')) {
    const { step, ...finding } = JSON.parse(line) as { step: string };
    findings.set(step, finding);
  }
}

/** What was found in a step; throws, with all that went wrong, where it was not taken. */
function at(step: string): Finding {
  const finding = findings.get(step);
  if (finding !== undefined) return finding;
  const failures = [...findings]
    .filter(([name]) => name.includes('failed'))
    .map(([name, { error, stdout }]) => {
      return `${name}: ${String(error ?? stdout)}`;
    });
  throw new Error(`nothing was found at ${step}\n${failures.join('\n') || containerOutput}`);
}

function unitsNamed(pattern: RegExp): readonly string[] {
  const names = readdirSync(units).filter((name) => pattern.test(name));
  return names.map((name) => join(units, name));
}

const rfc867 = /^\w+day, \w+ \d+, \d{4} \d\d:\d\d:\d\d-\w+\r\n$/;
const iso8601 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d\d:\d\d\r\n$/;

/** All of what `ask` in booted.js asks was answered, and the daytime in this form. */
function expectAnswers(step: string, daytime: RegExp): void {
  const answers = Object.fromEntries(
    ['tcp 127.0.0.1', 'udp 127.0.0.1', 'tcp ::1', 'udp ::1'].flatMap((way) => [
      [`echo ${way}`, 'here\n'],
      [`daytime ${way}`, expect.stringMatching(daytime)],
      [`time ${way}`, expect.stringMatching(/^[^]{4}$/)],
    ]),
  );
  expect(at(step)).toEqual(answers);
}

describe('the units', () => {
  it('pass systemd-analyze verify', () => {
    // Where the paths of the units are those of this machine.
    const here = join(directory, 'units');
    mkdirSync(here);
    const files = unitsNamed(/\.(?:service|socket)$/).map((path) => {
      const text = readFileSync(path, 'utf8');
      const copy = join(here, path.slice(units.length + 1));
      writeFileSync(
        copy,
        text.replaceAll('/usr/bin/node', process.execPath).replaceAll('/usr/lib/smallservd', installed),
      );
      return copy;
    });
    expect(files).toHaveLength(15);
    expect(execFileSync('sh', ['-c', 'systemd-analyze verify "$@" 2>&1', 'sh', ...files], { encoding: 'utf8' })).toBe(
      '',
    );
  });

  it.each([
    ['smallservd.service', 20],
    ['smallservd-sandboxed.service', 6],
  ])('keep the systemd-analyze security exposure of %s within %i', (unit, threshold) => {
    const args = ['security', '--offline=true', `--threshold=${threshold}`, '--no-pager', join(units, unit)];
    expect(execFileSync('systemd-analyze', args, { encoding: 'utf8' })).toContain('Overall exposure level');
  });
});

describe('under a booted systemd', () => {
  it('every step succeeds', () => {
    expect([...findings.keys()].filter((step) => step.includes('failed')).map(at)).toEqual([]);
    expect(at('end')).toEqual({});
  });

  it('every command of docs/SYSTEMD.md succeeds as written', () => {
    const page = readFileSync(join(checkout, 'docs/SYSTEMD.md'), 'utf8');
    const commands = blocksOf(page)
      .filter(({ language }) => language === 'sh')
      .flatMap(({ text }) => text.trimEnd().split('\n'));
    expect(commands.length).toBeGreaterThan(25);
    const succeeded = new Set([...findings.values()].filter(({ code }) => code === 0).map(({ command }) => command));
    expect(commands.filter((command) => !succeeded.has(command))).toEqual([]);
  });
});

describe('install-service', () => {
  it.each([
    [
      'package in a home',
      'the package, /home/eve/smallservd/package.json, is in /home, which is hidden from the service (ProtectHome)',
    ],
    [
      'package in a closed directory',
      'is in /opt/closed, which other users may not enter (mode 750). Install it for all users',
    ],
    [
      'file that is closed',
      'dist/server/supervisor/worker.js, cannot be read by other users (mode 600). Install it for all users',
    ],
    [
      'Node in a home',
      'Node, /home/eve/node, is in /home, which is hidden from the service (ProtectHome). Install Node.js for all users',
    ],
  ])('refuses a %s and writes nothing', (what, message) => {
    const { code, stdout, stderr } = at(`refused: ${what}`);
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(at('refused: written')).toEqual({ written: false });
  });
});

describe('smallservd.service', () => {
  it('is installed by install-service, which writes nothing in a dry run', () => {
    const dryRun = String(at('plain: dry run')['stdout']);
    expect(dryRun).toContain('would write  /etc/systemd/system/smallservd.service\n');
    expect(dryRun).toContain(
      '\nExecStart=/usr/bin/node --inspect-publish-uid=stderr /usr/lib/smallservd/dist/smallservd.js --config',
    );
    expect(dryRun).toContain('would write  /etc/smallservd/smallservd.yaml\n');
    expect(at('plain: after the dry run')).toEqual({ written: false });
    expect(at('plain: install')).toMatchObject({ code: 0, stderr: '' });
    expect(String(at('plain: install')['stdout'])).toMatch(
      /^written {6}\/etc\/systemd\/system\/smallservd\.service\nwritten {6}\/etc\/smallservd\/smallservd\.yaml\n\nNext:\n {2}systemctl daemon-reload\n/,
    );
  });

  it('answers as soon as systemctl reports it running', () => {
    expectAnswers('plain: answers', rfc867);
  });

  it('shows its state in systemctl status', () => {
    expect(at('plain: unit')).toEqual({
      ActiveState: 'active',
      SubState: 'running',
      UnitFileState: 'enabled',
      NRestarts: '0',
      StatusText: 'ready: 0 clients, 24 of 24 listeners open, 2 workers',
    });
    expect(at('plain: systemctl status')['stdout']).toContain('Status: "ready: 0 clients');
    expect(at('plain: status')['stdout']).toMatch(/^smallservd .*: ready\n/);
  });

  it('runs as a dynamic user with only CAP_NET_BIND_SERVICE', () => {
    for (const step of ['plain: identity', 'plain: worker identity']) {
      const { uid, capabilities, files } = at(step);
      expect(uid).toBeGreaterThanOrEqual(61_184);
      expect(uid).toBeLessThanOrEqual(65_519);
      // CAP_NET_BIND_SERVICE is number 10.
      expect(capabilities).toEqual(Array(5).fill('0000000000000400'));
      expect(files).toBeGreaterThan(1024);
    }
  });

  it('logs to the journal without warnings', () => {
    expect(at('plain: log')['stdout']).toBe('-- No entries --\n');
    expect(at('plain: whole log')['stdout']).toMatch(/^\{"level":"info",.*"msg":"ready"\}$/m);
  });

  it('reloads in place, keeping its main process', () => {
    expect(at('plain: difference')['stdout']).toContain('services.daytime.format');
    expect(at('plain: reload')).toMatchObject({ code: 0, stderr: '' });
    expectAnswers('plain: answers after the reload', iso8601);
    const { MainPID } = at('plain: before the reload');
    expect(at('plain: unit after the reload')).toEqual({
      MainPID,
      NRestarts: '0',
      ActiveState: 'active',
      SubState: 'running',
    });
  });

  it('keeps its config if a reload fails, and logs the error with its position', () => {
    expect(at('plain: wrong reload')['code']).toBe(1);
    expectAnswers('plain: answers after the wrong reload', iso8601);
    const { MainPID } = at('plain: before the reload');
    const StatusText = expect.stringMatching(/^ready: /) as unknown;
    expect(at('plain: unit after the wrong reload')).toEqual({
      MainPID,
      NRestarts: '0',
      ActiveState: 'active',
      StatusText,
    });
    expect(at('plain: log of the wrong reload')['stdout']).toMatch(
      /^smallservd: \/etc\/smallservd\/smallservd\.yaml:\d+:\d+ services\.daytime\.format: "wrong" is not one of /m,
    );
  });

  it('keeps running when a worker is killed', () => {
    expectAnswers('plain: answers after the death of a worker', iso8601);
    const { MainPID } = at('plain: before the reload');
    expect(at('plain: unit after the death of a worker')).toEqual({ MainPID, NRestarts: '0', ActiveState: 'active' });
  });

  it('feeds the watchdog, which restarts it when all its processes hang', () => {
    const { MainPID } = at('plain: watchdog fed');
    expect(at('plain: watchdog fed')).toMatchObject({ WatchdogUSec: '5s', NRestarts: '0', SubState: 'running' });
    expectAnswers('plain: answers after the watchdog', iso8601);
    expect(at('plain: unit after the watchdog')).toMatchObject({ NRestarts: '1', ActiveState: 'active' });
    expect(at('plain: unit after the watchdog')['MainPID']).not.toBe(MainPID);
    expect(at('plain: left after the watchdog')).toEqual({ pids: [] });
    expect(at('plain: log of the watchdog')['stdout']).toContain('Watchdog timeout (limit 5s)!');
  });

  it('serves UNIX sockets and grants a group access if the unit allows it', () => {
    expect(at('unix: open')).toEqual({ mode: '666', gid: expect.any(Number) as number, answer: 'here\n' });
    expect(at('unix: group without the right')).toMatchObject({ ExecMainStatus: '77' });
    expect(at('unix: group')).toEqual({ mode: '660', gid: 33, ActiveState: 'active' });
  });

  it('lets clients finish on stop, accepts no new clients and exits with 0', () => {
    expect(at('plain: unit while stopping')).toEqual({
      ActiveState: 'deactivating',
      StatusText: 'waiting for clients to finish',
    });
    expect(at('plain: stopped')).toEqual({ first: 'one\n', second: 'two\n' });
    // With a client that stays, too: shutdown.grace is enough, and systemd has nothing to kill.
    for (const step of ['plain: log of the stop', 'plain: log of the stop with a client that stays']) {
      expect(at(step)['stdout']).toContain('"exitCode":0,"msg":"stopped"}\n');
      expect(at(step)['stdout']).toContain('smallservd.service: Deactivated successfully.\n');
    }
  });

  it('is removed only once disabled, leaving an edited config in place', () => {
    expect(at('plain: removal too early')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('systemctl disable smallservd.service\n') as unknown,
    });
    expect(at('plain: remove')['stdout']).toContain(
      'kept         /etc/smallservd/smallservd.yaml: differs from the shipped config\n',
    );
    expect(at('plain: left')).toEqual({ unit: false, config: true });
  });
});

describe('the Debian package', () => {
  it('starts nothing on installation', () => {
    expect(at('packaged: install')).toMatchObject({ code: 0 });
    expect(at('packaged: unit after the installation')).toEqual({ ActiveState: 'inactive', UnitFileState: 'disabled' });
  });

  it('provides both programs and a service that answers and reloads', () => {
    expect(at('packaged: enable')).toMatchObject({ code: 0 });
    expectAnswers('packaged: answers', rfc867);
    expect(at('packaged: reload')).toMatchObject({ code: 0, stderr: '' });
    expectAnswers('packaged: answers after the reload', iso8601);
    expect(at('packaged: client')['stdout']).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('leaves nothing behind when purged', () => {
    expect(at('packaged: purge')).toMatchObject({ code: 0 });
    expect(at('packaged: left')).toEqual({
      package: false,
      config: false,
      daytime: { error: 'ECONNREFUSED' },
      LoadState: 'not-found',
    });
  });
});

describe('smallservd-sandboxed.service', () => {
  it('answers as soon as systemctl reports it running', () => {
    expectAnswers('sandboxed: answers', rfc867);
    expect(at('sandboxed: more answers')).toEqual({
      qotd: expect.stringMatching(/\r\n$/) as unknown,
      systat: expect.stringMatching(/^\d+ users?\r\n$/) as unknown,
      discard: '',
    });
    const StatusText = 'ready: 0 clients, 12 of 12 listeners open, 2 workers';
    expect(at('sandboxed: unit')).toMatchObject({
      ActiveState: 'active',
      NRestarts: '0',
      UnitFileState: 'enabled',
      StatusText,
    });
    expect(String(at('sandboxed: sockets')['stdout']).match(/smallservd-sandboxed\.service$/gm)).toHaveLength(14);
  });

  it('has no capabilities and no network access', () => {
    for (const step of ['sandboxed: identity', 'sandboxed: worker identity']) {
      const { capabilities, network, ourNetwork } = at(step);
      expect(capabilities).toEqual(Array(5).fill('0000000000000000'));
      expect(network).not.toBe(ourNetwork);
    }
  });

  it('reports its status over TCP and the UNIX socket', () => {
    for (const step of ['sandboxed: status', 'sandboxed: status by the UNIX socket'])
      expect(at(step)['stdout']).toMatch(/^smallservd .*: ready\n/);
  });

  it('reloads in place, keeping its main process', () => {
    expect(at('sandboxed: reload')).toMatchObject({ code: 0, stderr: '' });
    expectAnswers('sandboxed: answers after the reload', iso8601);
    const { before } = at('sandboxed: unit after the reload');
    expect(at('sandboxed: unit after the reload')).toEqual({
      before,
      MainPID: before,
      NRestarts: '0',
      ActiveState: 'active',
    });
  });

  it('refuses no clients and loses no datagrams during restarts', () => {
    const { asked, answered, faults, results } = at('sandboxed: restarts under load');
    expect(faults).toEqual({});
    expect(answered).toBe(asked);
    expect(asked).toBeGreaterThan(50);
    expect(results).toMatchObject([{ code: 0 }, { code: 0 }]);
    const { before, ...after } = at('sandboxed: unit after the restarts');
    expect(after).toMatchObject({ NRestarts: '0', ActiveState: 'active' });
    expect(after['MainPID']).not.toBe(before);
  });

  it('refuses no client and does not end when all its workers die at once', () => {
    expect(at('sandboxed: all workers killed')).toEqual({ echo: 'here\n', NRestarts: '0', SubState: 'running' });
    expectAnswers('sandboxed: answers after the death of all workers', iso8601);
  });

  it('is started by a connection or a datagram', () => {
    expect(at('sandboxed: stopped')).toEqual({ ActiveState: 'inactive', Result: 'success' });
    for (const step of ['sandboxed: woken', 'sandboxed: woken by a datagram'])
      expect(at(step)).toEqual({ echo: 'here\n' });
  });

  it('honors drop-ins for its socket units', () => {
    const answers = at('sandboxed: answers at one address');
    expect(answers['echo tcp 127.0.0.1']).toBe('here\n');
    expect(answers['echo tcp ::1']).toEqual({ error: 'ECONNREFUSED' });
    expect(answers['echo udp ::1']).toBe('here\n');
    expect(answers['chargen']).toEqual({ error: 'ECONNREFUSED' });
  });

  it('is removed with its sockets, but only once disabled', () => {
    expect(at('sandboxed: removal too early')['code']).toBe(1);
    expect(at('sandboxed: remove')['code']).toBe(0);
    expect(at('sandboxed: left')).toEqual({ units: [], config: true, echo: { error: 'ECONNREFUSED' } });
  });

  it('logs IPv4 client addresses in IPv4 notation', () => {
    const log = String(at('sandboxed: log')['stdout']);
    expect(log).toMatch(/"peer":"127\.0\.0\.1:\d+","local":"127\.0\.0\.1:13"/);
    expect(log).not.toContain('::ffff:');
  });
});
