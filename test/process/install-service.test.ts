import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, runToEnd, temporaryDirectory } from '../support/daemon-process.ts';
import { unprivileged } from '../support/nobody.ts';

const unit = 'etc/systemd/system/smallservd.service';
const config = 'etc/smallservd/smallservd.yaml';

/** `install-service` below a directory, as a packager calls it; whatever the umask is. */
async function install(directory: string, ...args: readonly string[]): ReturnType<typeof runToEnd> {
  const program = [process.execPath, join(root, 'dist/smallservd.js')];
  const command = ['sh', '-c', 'umask 077; exec "$@"', 'sh', ...program] as const;
  return runToEnd(['install-service', '--root', directory, ...args], { command: [...command] });
}

function shipped(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

describe('install-service', () => {
  it('writes the shipped unit and config, readable by all', async () => {
    const directory = temporaryDirectory();
    expect(await install(directory)).toMatchObject({
      code: 0,
      stdout: `written      ${directory}/${unit}\nwritten      ${directory}/${config}\n`,
      stderr: '',
    });
    expect(readFileSync(join(directory, unit), 'utf8')).toBe(shipped('systemd/smallservd.service'));
    expect(readFileSync(join(directory, config), 'utf8')).toBe(shipped('config/well-known.yaml'));
    for (const path of [unit, config]) expect(statSync(join(directory, path)).mode & 0o777, path).toBe(0o644);
    for (const path of ['etc', 'etc/smallservd'])
      expect(statSync(join(directory, path)).mode & 0o777, path).toBe(0o755);
  });

  it('prints every file in a dry run without writing any', async () => {
    const directory = temporaryDirectory();
    const { code, stdout } = await install(directory, '--dry-run', '--sandboxed');
    expect(code).toBe(0);
    expect(stdout.match(/^would write /gm)).toHaveLength(15);
    expect(stdout).toContain(`\n\n${shipped('systemd/smallservd-echo-tcp.socket')}\n`);
    expect(stdout).toContain(`\n\n${shipped('config/sockets.yaml')}\n`);
    expect(existsSync(join(directory, 'etc'))).toBe(false);
  });

  it('updates an outdated unit but never overwrites a modified config', async () => {
    const directory = temporaryDirectory();
    await install(directory);
    expect((await install(directory)).stdout).toBe(
      `unchanged    ${directory}/${unit}\nunchanged    ${directory}/${config}\n`,
    );
    writeFileSync(join(directory, unit), '# Installed by smallservd. An older one.\n');
    writeFileSync(join(directory, config), 'services: {}\n');
    expect((await install(directory)).stdout).toBe(
      `written      ${directory}/${unit}\nkept         ${directory}/${config}: differs from the shipped config\n`,
    );
    expect(readFileSync(join(directory, unit), 'utf8')).toBe(shipped('systemd/smallservd.service'));
    expect(readFileSync(join(directory, config), 'utf8')).toBe('services: {}\n');
  });

  it('refuses to overwrite or remove a foreign unit', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'etc/systemd/system'), { recursive: true });
    writeFileSync(join(directory, unit), '[Unit]\n');
    for (const args of [[], ['--remove'], ['--dry-run']]) {
      expect(await install(directory, ...args)).toMatchObject({
        code: 1,
        stdout: '',
        stderr:
          'smallservd: /etc/systemd/system/smallservd.service exists and was not installed by smallservd: move it out of the way first\n',
      });
    }
    expect(readFileSync(join(directory, unit), 'utf8')).toBe('[Unit]\n');
    expect(existsSync(join(directory, config))).toBe(false);
  });

  it('removes the files that it wrote and the config directory', async () => {
    const directory = temporaryDirectory();
    await install(directory, '--sandboxed');
    expect(
      (await install(directory, '--sandboxed', '--remove', '--dry-run')).stdout.match(/^would remove /gm),
    ).toHaveLength(15);
    const { code, stdout } = await install(directory, '--sandboxed', '--remove');
    expect(code).toBe(0);
    expect(stdout.match(/^removed /gm)).toHaveLength(15);
    expect(existsSync(join(directory, 'etc/smallservd'))).toBe(false);
    expect((await install(directory, '--sandboxed', '--remove')).stdout.match(/^not there /gm)).toHaveLength(15);
  });

  it('keeps a modified config when it removes the rest', async () => {
    const directory = temporaryDirectory();
    await install(directory);
    writeFileSync(join(directory, config), 'services: {}\n');
    expect((await install(directory, '--remove')).stdout).toBe(
      `removed      ${directory}/${unit}\nkept         ${directory}/${config}: differs from the shipped config\n`,
    );
    expect(existsSync(join(directory, unit))).toBe(false);
    expect(readFileSync(join(directory, config), 'utf8')).toBe('services: {}\n');
  });

  it('refuses to remove an enabled service and prints how to disable it', async () => {
    const directory = temporaryDirectory();
    await install(directory, '--sandboxed');
    const wants = join(directory, 'etc/systemd/system/sockets.target.wants');
    mkdirSync(wants);
    // As systemctl makes it; below another root it leads nowhere.
    symlinkSync('/etc/systemd/system/smallservd-admin.socket', join(wants, 'smallservd-admin.socket'));
    expect(await install(directory, '--sandboxed', '--remove')).toMatchObject({
      code: 1,
      stderr: [
        'smallservd: the service is still enabled; first run:',
        'smallservd:   systemctl disable smallservd-sandboxed.service',
        "smallservd:   systemctl stop 'smallservd-*.socket' smallservd-sandboxed.service\n",
      ].join('\n'),
    });
    expect(existsSync(join(directory, 'etc/systemd/system/smallservd-admin.socket'))).toBe(true);
  });

  it('does not follow a symbolic link', async () => {
    const directory = temporaryDirectory();
    const file = join(temporaryDirectory(), 'file');
    const unitFile = join(directory, unit);
    writeFileSync(file, '# Installed by smallservd. Somewhere else.\n');
    mkdirSync(dirname(unitFile), { recursive: true });
    symlinkSync(file, unitFile);
    expect(await install(directory)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${unitFile} is a symbolic link: move it out of the way first`),
    });
    expect(readFileSync(file, 'utf8')).toBe('# Installed by smallservd. Somewhere else.\n');
  });

  it('reports a failed write in one line', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    const { code, stdout, stderr } = await install(file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^smallservd: \/.*: a part of the path is not a directory\n$/);
  });

  it.each([[[]], [['--remove']], [['--sandboxed']]])('requires root with arguments %j', async (args) => {
    expect(await runToEnd(['install-service', ...args], unprivileged())).toMatchObject({
      code: 77,
      stdout: '',
      stderr: 'smallservd: install-service needs root; --dry-run shows what it would do\n',
    });
  });

  it('rejects any other argument', async () => {
    expect((await install(temporaryDirectory(), 'now')).code).toBe(64);
  });
});
