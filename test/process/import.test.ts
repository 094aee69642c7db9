import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocksOf, read } from '../repository/files.ts';
import { root, runToEnd, temporaryDirectory } from '../support/daemon-process.ts';

const inetdConf = `echo stream tcp4 nowait root internal
#<off># time stream tcp4 nowait root internal
ftp stream tcp4 nowait root /usr/sbin/ftpd ftpd
`;

/** Runs a command of the shell, in which `smallservd` is the built program and $1 is the file. */
function inShell(script: string, file: string, cwd: string): ReturnType<typeof runToEnd> {
  const program = `smallservd() { "${process.execPath}" "${join(root, 'dist/smallservd.js')}" "$@"; }\n`;
  return runToEnd([], { cwd, command: ['bash', '-o', 'pipefail', '-c', `${program}${script}`, 'bash', file] });
}

/** A directory with these files. */
function directoryOf(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

function section(name: string): string {
  return `service ${name}\n{\ntype = INTERNAL\nprotocol = tcp\nwait = no\n}\n`;
}

describe('import', () => {
  it('prints a config that check accepts on standard input', async () => {
    const directory = directoryOf({ 'inetd.conf': inetdConf });
    const { code, stdout, stderr } = await inShell(
      'smallservd import --ignore-wrappers "$1" | smallservd check --brief --json --config -',
      'inetd.conf',
      directory,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ services: { echo: { listen: ['tcp4://*:7'] } } });
  });

  it('reads a file or standard input', async () => {
    const directory = directoryOf({ 'inetd.conf': inetdConf });
    const ofFile = await runToEnd(['import', '--ignore-wrappers', 'inetd.conf'], { cwd: directory });
    expect(ofFile).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `# Imported from inetd.conf.
services:
  # inetd.conf:1
  echo:
    listen: ["tcp4://*:7"]

# Not imported:
# inetd.conf:2: "time" (tcp4) is disabled
# inetd.conf:3: "ftp" (tcp4) runs a program, "/usr/sbin/ftpd"
`,
    });
    const ofInput = await inShell('smallservd import --ignore-wrappers - < "$1"', 'inetd.conf', directory);
    expect(ofInput).toMatchObject({
      code: 0,
      stderr: '',
      stdout: ofFile.stdout.replaceAll('inetd.conf', 'standard input'),
    });
  });

  it('shows what docs/IMPORT.md shows', async () => {
    const [, example, shown] = blocksOf(read('docs/IMPORT.md')).map(({ text }) => text);
    const directory = directoryOf({ 'xinetd.conf': example ?? '' });
    const { code, stdout } = await runToEnd(['import', '--ignore-wrappers', 'xinetd.conf'], { cwd: directory });
    expect(code).toBe(0);
    expect(`$ smallservd import xinetd.conf\n${stdout}`).toBe(shown);
  });

  it('reads the files that a xinetd.conf includes', async () => {
    const directory = directoryOf({ 'xinetd.conf': 'includedir services\ninclude more\n', more: '' });
    mkdirSync(join(directory, 'services'));
    writeFileSync(join(directory, 'services/b'), section('time'));
    writeFileSync(join(directory, 'services/a'), section('echo'));
    writeFileSync(join(directory, 'services/c.dpkg-old'), section('discard'));
    const { code, stdout } = await runToEnd(['import', '--ignore-wrappers', 'xinetd.conf'], { cwd: directory });
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}(?! )[^:]*/gm)).toEqual(['  # services/a', '  echo', '  # services/b', '  time']);
  });

  it('takes the families that the dialect means', async () => {
    const directory = directoryOf({ 'inetd.conf': 'echo stream tcp nowait root internal\n' });
    const { stdout } = await runToEnd(['import', '--ignore-wrappers', '--dialect', 'openbsd', 'inetd.conf'], {
      cwd: directory,
    });
    expect(stdout).toContain('listen: ["tcp://*:7"]');
  });

  it.each([
    { text: undefined, code: 78, says: 'cannot read file: no such file' },
    { text: 'a\0b', code: 78, says: 'cannot read file: it contains a NUL character' },
    { text: `#${'x'.repeat(300_000)}`, code: 78, says: 'cannot read file: it is larger than 256 KiB' },
    { text: '\nlisten: 7\n', code: 78, says: 'file:2: "listen: 7": not an entry of inetd.conf or xinetd.conf' },
    { text: 'defaults\n{\n', code: 78, says: 'file:1: this section has no end: expected a line with } alone' },
    { text: 'includedir /nonexistent\n', code: 78, says: 'file:1: cannot read /nonexistent: no such file' },
    {
      text: '# nothing\n',
      code: 1,
      says: 'file: nothing to import: none of the enabled services is built into smallservd',
    },
    {
      text: '#<off># echo stream tcp nowait root internal\n',
      code: 1,
      says: 'file: nothing to import: none of the enabled services is built into smallservd\nsmallservd: file:1: "echo" (tcp) is disabled',
    },
  ])('exits with $code: $says', async ({ text, code, says }) => {
    const directory = directoryOf(text === undefined ? {} : { file: text });
    expect(await runToEnd(['import', 'file'], { cwd: directory })).toMatchObject({
      code,
      stdout: '',
      stderr: `smallservd: ${says}\n`,
    });
  });

  it.each([
    { args: [], says: "missing required argument 'file'" },
    {
      args: ['--dialect', 'solaris', 'x'],
      says: '"solaris" is not valid for --dialect: expected one of gnu, freebsd, openbsd',
    },
    { args: ['x', 'y'], says: "too many arguments for 'import': expected 1, got 2" },
  ])('exits with 64 for import $args', async ({ args, says }) => {
    const { code, stderr } = await runToEnd(['import', ...args]);
    expect(stderr).toContain(`smallservd: ${says}\n`);
    expect(code).toBe(64);
  });
});
