import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, runToEnd, temporaryFolder } from '../support/daemon-process.ts';
import { unprivileged } from '../support/nobody.ts';

const unit = 'etc/systemd/system/smallservd.service';
const config = 'etc/smallservd/smallservd.yaml';

/** `install-service` below a folder, as a packager calls it; whatever the umask is. */
async function install(folder: string, ...args: readonly string[]): ReturnType<typeof runToEnd> {
  const program = [process.execPath, join(root, 'dist/smallservd.js')];
  const command = ['sh', '-c', 'umask 077; exec "$@"', 'sh', ...program] as const;
  return runToEnd(['install-service', '--root', folder, ...args], { command: [...command] });
}

function shipped(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

describe('install-service', () => {
  it('writes unit and config as they are shipped, open to all', async () => {
    const folder = temporaryFolder();
    expect(await install(folder)).toMatchObject({
      code: 0,
      stdout: `written      ${folder}/${unit}\nwritten      ${folder}/${config}\n`,
      stderr: '',
    });
    expect(readFileSync(join(folder, unit), 'utf8')).toBe(shipped('systemd/smallservd.service'));
    expect(readFileSync(join(folder, config), 'utf8')).toBe(shipped('config/well-known.yaml'));
    for (const path of [unit, config]) expect(statSync(join(folder, path)).mode & 0o777, path).toBe(0o644);
    for (const path of ['etc', 'etc/smallservd']) expect(statSync(join(folder, path)).mode & 0o777, path).toBe(0o755);
  });

  it('prints all of it in a dry run, and changes nothing', async () => {
    const folder = temporaryFolder();
    const { code, stdout } = await install(folder, '--dry-run', '--sandboxed');
    expect(code).toBe(0);
    expect(stdout.match(/^would write /gm)).toHaveLength(14);
    expect(stdout).toContain(`\n\n${shipped('systemd/smallservd-echo-tcp.socket')}\n`);
    expect(stdout).toContain(`\n\n${shipped('config/sockets.yaml')}\n`);
    expect(existsSync(join(folder, 'etc'))).toBe(false);
  });

  it('writes what an update changed, and never over a config that was changed', async () => {
    const folder = temporaryFolder();
    await install(folder);
    expect((await install(folder)).stdout).toBe(`unchanged    ${folder}/${unit}\nunchanged    ${folder}/${config}\n`);
    writeFileSync(join(folder, unit), '# Of smallservd. An older one.\n');
    writeFileSync(join(folder, config), 'services: {}\n');
    expect((await install(folder)).stdout).toBe(
      `written      ${folder}/${unit}\nkept         ${folder}/${config}: it differs from the shipped one\n`,
    );
    expect(readFileSync(join(folder, unit), 'utf8')).toBe(shipped('systemd/smallservd.service'));
    expect(readFileSync(join(folder, config), 'utf8')).toBe('services: {}\n');
  });

  it('leaves a unit alone that is not ours', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'etc/systemd/system'), { recursive: true });
    writeFileSync(join(folder, unit), '[Unit]\n');
    for (const args of [[], ['--remove'], ['--dry-run']]) {
      expect(await install(folder, ...args)).toMatchObject({
        code: 1,
        stdout: '',
        stderr:
          'smallservd: /etc/systemd/system/smallservd.service is there, and not of smallservd: move it away first\n',
      });
    }
    expect(readFileSync(join(folder, unit), 'utf8')).toBe('[Unit]\n');
    expect(existsSync(join(folder, config))).toBe(false);
  });

  it('removes what it wrote, and the folder of the config', async () => {
    const folder = temporaryFolder();
    await install(folder, '--sandboxed');
    expect(
      (await install(folder, '--sandboxed', '--remove', '--dry-run')).stdout.match(/^would remove /gm),
    ).toHaveLength(14);
    const { code, stdout } = await install(folder, '--sandboxed', '--remove');
    expect(code).toBe(0);
    expect(stdout.match(/^removed /gm)).toHaveLength(14);
    expect(existsSync(join(folder, 'etc/smallservd'))).toBe(false);
    expect((await install(folder, '--sandboxed', '--remove')).stdout.match(/^not there /gm)).toHaveLength(14);
  });

  it('keeps a config that was changed when it removes the rest', async () => {
    const folder = temporaryFolder();
    await install(folder);
    writeFileSync(join(folder, config), 'services: {}\n');
    expect((await install(folder, '--remove')).stdout).toBe(
      `removed      ${folder}/${unit}\nkept         ${folder}/${config}: it differs from the shipped one\n`,
    );
    expect(existsSync(join(folder, unit))).toBe(false);
    expect(readFileSync(join(folder, config), 'utf8')).toBe('services: {}\n');
  });

  it('does not remove a service that is enabled, and says how to disable it', async () => {
    const folder = temporaryFolder();
    await install(folder, '--sandboxed');
    const wants = join(folder, 'etc/systemd/system/sockets.target.wants');
    mkdirSync(wants);
    // As systemctl makes it; below another root it leads nowhere.
    symlinkSync('/etc/systemd/system/smallservd-admin.socket', join(wants, 'smallservd-admin.socket'));
    expect(await install(folder, '--sandboxed', '--remove')).toMatchObject({
      code: 1,
      stderr: [
        'smallservd: the service is enabled; first:',
        'smallservd:   systemctl disable smallservd-sandboxed.service',
        "smallservd:   systemctl stop 'smallservd-*.socket' smallservd-sandboxed.service\n",
      ].join('\n'),
    });
    expect(existsSync(join(folder, 'etc/systemd/system/smallservd-admin.socket'))).toBe(true);
  });

  it('writes through no link', async () => {
    const folder = temporaryFolder();
    const file = join(temporaryFolder(), 'file');
    const unitFile = join(folder, unit);
    writeFileSync(file, '# Of smallservd. Somewhere else.\n');
    mkdirSync(dirname(unitFile), { recursive: true });
    symlinkSync(file, unitFile);
    expect(await install(folder)).toMatchObject({ code: 1, stderr: expect.stringContaining('ELOOP') });
    expect(readFileSync(file, 'utf8')).toBe('# Of smallservd. Somewhere else.\n');
  });

  it('says in one line why it cannot write', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    const { code, stdout, stderr } = await install(file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^smallservd: ENOTDIR: .*\n$/);
  });

  it.each([[[]], [['--remove']], [['--sandboxed']]])('needs root with %j', async (args) => {
    expect(await runToEnd(['install-service', ...args], unprivileged())).toMatchObject({
      code: 77,
      stdout: '',
      stderr: 'smallservd: only root can do this; --dry-run shows to anybody what it would do\n',
    });
  });

  it('takes no other arguments', async () => {
    expect((await install(temporaryFolder(), 'now')).code).toBe(64);
  });
});
