import { realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout, identityOf, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { Program, run, type StartOptions } from './program.ts';

needs('ip', 'nc', 'man');

const packedFiles = [
  'dist/smallservd.js',
  'dist/index.d.ts',
  'config/smallservd.yaml',
  'completion/_smallservd',
  'completion/smallservd.bash',
  'man/smallservd.8',
] as const;

/** Runs a program that must end with 0, and returns what it wrote. */
async function output(argv: readonly string[], options: StartOptions = {}): Promise<string> {
  const program = await run(argv, options);
  expect(program.complaints.replaceAll(/^npm warn.*\n/gm, '')).toBe('');
  expect((await program.end()).code).toBe(0);
  return program.output;
}

/** What `npm pack` says of the file that it has made. */
interface Packed {
  readonly filename: string;
  readonly version: string;
  readonly files: readonly { readonly path: string }[];
}

async function packInto(directory: string): Promise<Packed> {
  const pack = ['npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const [packed] = JSON.parse(await output(pack, { directory: checkout })) as [Packed];
  return packed;
}

it('the npm package installs and runs from a directory that only root can read', async () => {
  const directory = temporaryDirectory(0o700);
  const packed = await packInto(directory);
  const files = packed.files.map(({ path }) => path);
  expect(files).toEqual(expect.arrayContaining([...packedFiles]));
  expect(files.filter((path) => /^(src|test|bench|\.ci)\//.test(path))).toEqual([]);

  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }');
  const install = ['npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${packed.filename}`];
  await output(install, { directory: directory });
  const here = { directory: directory };
  expect(await output(['npx', '--no-install', 'smallservd', '--version'], here)).toBe(`${packed.version}\n`);
  const checked = await output(['npx', '--no-install', 'smallservd', 'check', '--json'], here);
  const { services } = JSON.parse(checked) as { services: object };
  expect(Object.keys(services)).toEqual(['daytime', 'echo', 'discard', 'systat', 'qotd', 'chargen', 'time', 'stamp']);
  expect(await output(['npx', '--no-install', 'smallservd', 'services'], here)).toContain('RFC 862');

  writeFileSync(
    join(directory, 'embed.js'),
    `import { startDaemon } from 'smallservd';
import { connect } from 'node:net';
const daemon = await startDaemon({ services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
const [{ port }] = daemon.listeners;
const client = connect(port, '127.0.0.1').end('embedded\\n');
for await (const chunk of client) process.stdout.write(chunk);
await daemon.close();\n`,
  );
  expect(await output([process.execPath, 'embed.js'], here)).toBe('embedded\n');

  // Its workers and the admin process, who may not read the directory, have all they need before they become nobody.
  const network = Network.make();
  const daemon = new Program(network.inside(['node_modules/.bin/smallservd']), here);
  await daemon.says(/"msg":"ready"/);
  const users = daemon.family.slice(1).map((pid) => identityOf(pid).uids[0]);
  expect(users.length).toBeGreaterThan(2);
  expect(new Set(users)).toEqual(new Set([65534]));
  const peers = new Peers(network);
  expect(await peers.tcp('::1', 1201, 'here\n')).toBe('here\n');
  expect(await peers.udp('::1', 1201, 'here\n')).toBe('here\n');
  expect(await peers.tcp('127.0.0.1', 1200)).toMatch(/day, /);
  daemon.signal('SIGTERM');
  expect(await daemon.end()).toEqual({ code: 0, signal: null });
});

it('the npm package installs for all users, with man pages where man finds them', async () => {
  const directory = temporaryDirectory();
  const { filename, version } = await packInto(directory);
  const install = ['npm', 'install', '--global', '--prefix', directory, '--no-audit', '--no-fund', '--prefer-offline'];
  await output([...install, `./${filename}`], { directory: directory });

  // As for a user whose PATH has it, and without a word about where manuals lie.
  const env = { PATH: `${join(directory, 'bin')}:${process.env['PATH']}`, MANWIDTH: '80', MANPATH: '' };
  const user = { directory: '/', env, uid: 65534, gid: 65534 };
  expect(await output(['smallservd', '--version'], user)).toBe(`${version}\n`);
  expect(await output(['smallserv', 'mask', '192.0.2.70/26'], user)).toContain('192.0.2.64');
  expect(await output(['smallservd', 'check'], user)).toContain('tcp://localhost:1201');
  for (const [section, name] of [
    ['1', 'smallserv'],
    ['5', 'smallservd.yaml'],
    ['8', 'smallservd'],
  ] as const) {
    const page = join(directory, `share/man/man${section}/${name}.${section}`);
    expect(await output(['man', '--where', section, name], user)).toBe(`${realpathSync(page)}\n`);
    expect(await output(['man', section, name], user)).toContain(`NAME\n     ${name} `);
  }
});
