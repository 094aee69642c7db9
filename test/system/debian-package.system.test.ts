import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../src/version.ts';
import { read } from '../repository/files.ts';
import { checkout, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { Program, run, type StartOptions } from './program.ts';

needs('dpkg-deb', 'lintian', 'man', 'bash', 'fish', 'zsh', 'unshare', 'mount', 'ip', 'nc', 'systemd-analyze');

/** What a program that must end with 0, and without a complaint, writes to standard output. */
async function output(argv: readonly string[], options: StartOptions = {}): Promise<string> {
  const program = await run(argv, options);
  expect(program.complaints).toBe('');
  expect((await program.end()).code, program.output).toBe(0);
  return program.output;
}

/** Builds the package, as `npm run package:deb` does when it has built `dist`; returns the path of the file. */
function build(directory: string, umask = '022'): string {
  const script = `umask ${umask} && exec "${process.execPath}" "${join(checkout, 'scripts/package-deb.js')}" "${directory}"`;
  execFileSync('sh', ['-c', script], { cwd: directory });
  return join(directory, readdirSync(directory).find((each) => each.endsWith('.deb')) ?? 'there is none');
}

let file = '';
const directory = mkdtempSync(join(tmpdir(), 'smallservd-deb-'));
beforeAll(() => {
  file = build(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A tree with a database of packages, in which those are installed that ours depends on. */
async function treeOfDpkg(): Promise<string> {
  const root = temporaryDirectory();
  for (const each of ['updates', 'info']) mkdirSync(join(root, 'var/lib/dpkg', each), { recursive: true });
  const architecture = await output(['dpkg', '--print-architecture']);
  const others = Object.entries({ nodejs: '20.19.2', libc6: '2.36', 'libgcc-s1': '12.2', 'libstdc++6': '12.2' });
  const stanzas = others.map(
    ([name, number]) =>
      `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}Version: ${number}\nMaintainer: nobody\nDescription: none\n`,
  );
  writeFileSync(join(root, 'var/lib/dpkg/status'), stanzas.join('\n'));
  for (const [name] of others) writeFileSync(join(root, `var/lib/dpkg/info/${name}.list`), '/.\n');
  return root;
}

/** dpkg(1) in such a tree; the scripts of the package see from DPKG_ROOT that it is not the machine. */
function dpkg(root: string, ...args: readonly string[]): Promise<string> {
  return output(['dpkg', `--root=${root}`, '--force-script-chrootless', ...args]);
}

async function unpack(): Promise<string> {
  const tree = temporaryDirectory();
  await output(['dpkg-deb', '--extract', file, tree]);
  return tree;
}

/**
 * The command line that runs another on this machine as if the tree had been installed on it, in a mount namespace of
 * its own.
 */
function installed(tree: string, argv: readonly string[]): readonly string[] {
  // Where the machine has its node elsewhere.
  if (!existsSync('/usr/bin/node') && !existsSync(join(tree, 'usr/bin/node')))
    symlinkSync(process.execPath, join(tree, 'usr/bin/node'));
  const mounts = ['usr', 'etc'].map((each) => `mount -t overlay overlay -o lowerdir=${tree}/${each}:/${each} /${each}`);
  return ['unshare', '--mount', 'sh', '-c', `${mounts.join(' && ')} && exec "$@"`, 'sh', ...argv];
}

/** What a script asks of systemd, on a machine that runs it. */
async function ordersOf(script: string, ...args: readonly string[]): Promise<string> {
  const control = temporaryDirectory();
  await output(['dpkg-deb', '--control', file, control]);
  const systemctl = join(control, 'systemctl');
  writeFileSync(systemctl, `#!/bin/sh\necho "$*" >> ${control}/orders\n`, { mode: 0o755 });
  copyFileSync(systemctl, join(control, 'systemd-sysusers'));
  const prepare = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$@"';
  const argv = ['unshare', '--mount', 'sh', '-c', prepare, 'sh', join(control, script), ...args];
  const program = await run(argv, { env: { PATH: `${control}:${process.env['PATH']}`, DPKG_ROOT: '' } });
  expect((await program.end()).code, program.complaints).toBe(0);
  return existsSync(join(control, 'orders')) ? readFileSync(join(control, 'orders'), 'utf8') : '';
}

describe('the Debian package', () => {
  test('runs /usr/bin/node with the inspector URL kept off HTTP', async () => {
    const program = readFileSync(join(await unpack(), 'usr/lib/smallservd/dist/smallservd.js'), 'utf8');
    expect(program.split('\n')[0]).toBe('#!/usr/bin/node --inspect-publish-uid=stderr');
  });

  test('is byte-for-byte reproducible under another umask', async () => {
    const other = build(temporaryDirectory(), '077');
    expect(readFileSync(other).equals(readFileSync(file))).toBe(true);
  });

  test('passes lintian without errors', async () => {
    const argv = ['lintian', '--no-cfg', '--allow-root', '--fail-on', 'error', file];
    const lintian = await run(argv);
    // Two warnings: no bug of Debian's asked for the package, and its removal stops the services.
    const tags = [...lintian.output.matchAll(/^[EW]: smallservd: (\S+)/gm)].map(([, tag]) => tag);
    expect(tags).toEqual(['initial-upload-closes-no-bugs', 'maintainer-script-calls-systemctl']);
    expect((await lintian.end()).code).toBe(0);
  });

  test('contains the expected files and metadata', async () => {
    const list = await output(['dpkg-deb', '--contents', file]);
    const entries = list
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/));
    expect(new Set(entries.map(([, owner]) => owner))).toEqual(new Set(['root/root']));
    expect(entries.filter(([mode = '']) => /^.(?:.{4}w|.{7}w|.*[st])/.test(mode.replace(/^l.*/, '')))).toEqual([]);
    const paths = entries.map(([, , , , , path]) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        './etc/logrotate.d/smallservd',
        './etc/smallservd/smallservd.yaml',
        './etc/smallservd/sockets.yaml',
        './etc/ufw/applications.d/smallservd',
        './usr/bin/smallserv',
        './usr/bin/smallservd',
        './usr/lib/firewalld/services/smallservd.xml',
        './usr/lib/smallservd/dist/smallservd.js',
        './usr/lib/smallservd/node_modules/pino/package.json',
        './usr/lib/systemd/system/smallservd.service',
        './usr/lib/sysusers.d/smallservd.conf',
        './usr/lib/systemd/system/smallservd-sandboxed.service',
        './usr/lib/systemd/system/smallservd-echo-tcp.socket',
        './usr/share/bash-completion/completions/smallservd',
        './usr/share/bash-completion/completions/smallserv',
        './usr/share/doc/smallservd/changelog.Debian.gz',
        './usr/share/doc/smallservd/copyright',
        './usr/share/doc/smallservd/examples/smallservd.nft',
        './usr/share/fish/vendor_completions.d/smallserv.fish',
        './usr/share/fish/vendor_completions.d/smallservd.fish',
        './usr/share/man/man1/smallserv.1.gz',
        './usr/share/man/man5/smallservd.yaml.5.gz',
        './usr/share/man/man8/smallservd.8.gz',
        './usr/share/zsh/vendor-completions/_smallservd',
      ]),
    );
    expect(
      paths.filter((path) => /\.d\.ts$|\/node_modules\/(?:typescript|vitest|nan)\/|\.test\.js$/.test(path ?? '')),
    ).toEqual([]);
    const fields = await output(['dpkg-deb', '--field', file]);
    expect(fields).toContain(`Version: ${version}-1\n`);
    expect(fields).toMatch(/^Depends: nodejs \(>= 20\.19\)/m);
    const control = temporaryDirectory();
    await output(['dpkg-deb', '--control', file, control]);
    expect(readFileSync(join(control, 'conffiles'), 'utf8')).toBe(
      '/etc/logrotate.d/smallservd\n/etc/smallservd/smallservd.yaml\n/etc/smallservd/sockets.yaml\n/etc/ufw/applications.d/smallservd\n',
    );
    const tree = await unpack();
    await output(['md5sum', '--check', '--quiet', '--strict', join(control, 'md5sums')], { directory: tree });
  });

  test('contains a software bill of materials with every package that runs', async () => {
    const text = readFileSync(join(await unpack(), 'usr/share/doc/smallservd/smallservd.cdx.json'), 'utf8');
    const bill = JSON.parse(text) as Readonly<Record<'bomFormat' | 'specVersion', string>> & {
      readonly metadata: { readonly component: { readonly purl: string } };
      readonly components: readonly { readonly purl: string; readonly hashes: readonly { readonly alg: string }[] }[];
    };
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5' });
    expect(bill.metadata.component.purl).toBe(`pkg:npm/smallservd@${version}`);
    expect(bill.components.every(({ hashes }) => hashes[0]?.alg === 'SHA-512')).toBe(true);
    const listed = bill.components.map(({ purl }) => purl);
    const lock = JSON.parse(read('package-lock.json')) as {
      readonly packages: Readonly<
        Record<string, { readonly version: string; readonly name?: string; readonly dev?: true }>
      >;
    };
    const needed = Object.entries(lock.packages)
      .filter(([path, { dev }]) => path !== '' && dev !== true && !/\/(?:@typescript\/.*|typescript)$/.test(path))
      .map(([path, entry]) => [entry.name ?? path.split('node_modules/').at(-1) ?? '', entry.version] as const)
      .map(([name, number]) => `pkg:npm/${name.replace('@', '%40')}@${number}`);
    expect(listed.toSorted()).toEqual([...new Set(needed)].toSorted());
    expect(listed).toEqual(
      expect.arrayContaining([expect.stringMatching(/\/yaml@/), expect.stringMatching(/\/koffi@/)]),
    );
  });

  test('can be installed, reinstalled with an edited config kept, removed and purged by dpkg', async () => {
    const root = await treeOfDpkg();
    const config = join(root, 'etc/smallservd/smallservd.yaml');
    await dpkg(root, '--install', file);
    expect(existsSync(join(root, 'usr/bin/smallservd'))).toBe(true);
    writeFileSync(config, 'services: {}\n');
    await dpkg(root, '--force-confold', '--install', file);
    expect(readFileSync(config, 'utf8')).toBe('services: {}\n');
    await dpkg(root, '--remove', 'smallservd');
    expect(existsSync(join(root, 'usr/lib/smallservd'))).toBe(false);
    expect(existsSync(config)).toBe(true);
    await dpkg(root, '--purge', 'smallservd');
    expect(existsSync(join(root, 'etc/smallservd'))).toBe(false);
  });
});

describe('the maintainer scripts', () => {
  test('start and enable nothing', async () => {
    expect(await ordersOf('postinst', 'configure')).toBe('smallservd.conf\ndaemon-reload\n');
    expect(await ordersOf('postinst', 'configure', '0.0.9-1')).toBe(
      'smallservd.conf\ndaemon-reload\n--quiet is-active smallservd.service\n--quiet is-active smallservd-sandboxed.service\n',
    );
  });

  test('stop the services on removal but not on upgrade', async () => {
    expect(await ordersOf('prerm', 'remove')).toMatch(
      /^--quiet disable --now (?=.*smallservd\.service).*\.socket .*\n$/,
    );
    expect(await ordersOf('prerm', 'upgrade', '0.2.0-1')).toBe('');
    expect(await ordersOf('postrm', 'remove')).toBe('daemon-reload\n');
  });
});

describe('after installation', () => {
  test('both programs run, and their man pages and completions are found', async () => {
    const tree = await unpack();
    const ask = (...argv: readonly string[]): Promise<string> => output(installed(tree, argv), { directory: '/' });
    expect(await ask('smallservd', '--version')).toBe(`${version}\n`);
    expect(await ask('smallserv', 'ip', '::1')).toContain('loopback');
    for (const config of ['smallservd', 'sockets'])
      expect(await ask('smallservd', 'check', '--config', `/etc/smallservd/${config}.yaml`)).toContain('services:');
    expect(await ask('man', '--where', '8', 'smallservd')).toBe('/usr/share/man/man8/smallservd.8.gz\n');
    expect(await ask('man', '--where', '5', 'smallservd.yaml')).toBe('/usr/share/man/man5/smallservd.yaml.5.gz\n');
    // bash-completion loads it when it is first asked for.
    const script = '. /usr/share/bash-completion/bash_completion; _completion_loader smallserv; complete -p smallserv';
    expect(await ask('bash', '-c', script)).toBe('complete -F _smallserv smallserv\n');
    const compinit = 'autoload -Uz compinit && compinit -u -D && print -r -- $_comps[smallserv] $_comps[smallservd]';
    expect(await ask('zsh', '-f', '-c', compinit)).toBe('_smallservd _smallservd\n');
    // From the directory in which fish looks.
    const fish = "complete -C 'smallserv dayt'";
    expect(await ask('fish', '--command', fish)).toMatch(/^daytime\t/);
    expect(await ask('systemd-analyze', 'verify', 'smallservd.service', 'smallservd-sandboxed.service')).toBe('');
  });

  test('the daemon serves the well-known ports and answers the client tools', async () => {
    const tree = await unpack();
    const network = Network.make();
    const argv = ['smallservd', '--config', '/etc/smallservd/smallservd.yaml'];
    const daemon = new Program(network.inside(installed(tree, argv)), { directory: '/' });
    await daemon.says(/"msg":"ready"/);
    // It can call the kernel.
    expect(daemon.output).not.toContain('cannot set no_new_privs');
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', 7, 'here\n')).toBe('here\n');
    expect(await peers.udp('::1', 7, 'here\n')).toBe('here\n');
    const ask = (...args: readonly string[]): Promise<string> =>
      output(network.inside(installed(tree, args)), { directory: '/' });
    expect(await ask('smallserv', 'daytime', 'localhost')).toMatch(/day, /);
    expect(await ask('smallservd', 'status')).toContain('ready');
    // Its addon is in the package for Node 20 and 22.
    if (/^v2[02]\./.test(process.version))
      expect(await ask('smallserv', 'ping', '-c', '1', '-q', '127.0.0.1')).toMatch(/1 received/);
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
  });
});
