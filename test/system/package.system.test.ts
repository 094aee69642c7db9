import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout, identityOf, Network, needs, temporaryFolder } from './machine.ts';
import { Peers } from './peers.ts';
import { Program, run, type StartOptions } from './program.ts';

needs('ip', 'nc');

/** Runs a program that must end with 0, and returns what it wrote. */
async function output(argv: readonly string[], options: StartOptions = {}): Promise<string> {
  const program = await run(argv, options);
  expect(program.complaints.replaceAll(/^npm warn.*\n/gm, '')).toBe('');
  expect((await program.end()).code).toBe(0);
  return program.output;
}

it('npm pack installs and runs from another folder, one that only root can read', async () => {
  const folder = temporaryFolder(0o700);
  const pack = ['npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [packed] = JSON.parse(await output(pack, { directory: checkout })) as [
    { filename: string; version: string; files: { path: string }[] },
  ];
  const files = packed.files.map(({ path }) => path);
  expect(files).toEqual(expect.arrayContaining(['dist/smallservd.js', 'dist/index.d.ts', 'config/smallservd.yaml']));
  expect(files.filter((path) => /^(src|test|bench|\.ci)\//.test(path))).toEqual([]);

  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  const install = ['npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${packed.filename}`];
  await output(install, { directory: folder });
  const here = { directory: folder };
  expect(await output(['npx', '--no-install', 'smallservd', '--version'], here)).toBe(`${packed.version}\n`);
  const checked = await output(['npx', '--no-install', 'smallservd', 'check', '--json'], here);
  const { services } = JSON.parse(checked) as { services: object };
  expect(Object.keys(services)).toEqual(['daytime', 'echo', 'discard', 'systat', 'qotd', 'chargen', 'time']);
  expect(await output(['npx', '--no-install', 'smallservd', 'services'], here)).toContain('RFC 862');

  writeFileSync(
    join(folder, 'embed.js'),
    `import { startDaemon } from 'smallservd';
import { connect } from 'node:net';
const daemon = await startDaemon({ services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
const [{ port }] = daemon.listeners;
const client = connect(port, '127.0.0.1').end('embedded\\n');
for await (const chunk of client) process.stdout.write(chunk);
await daemon.close();\n`,
  );
  expect(await output([process.execPath, 'embed.js'], here)).toBe('embedded\n');

  // Its workers, who may not read the folder, have all they need before they become nobody.
  const network = Network.make();
  const daemon = new Program(network.inside(['node_modules/.bin/smallservd']), here);
  await daemon.says(/"msg":"ready"/);
  expect(daemon.family.slice(1).map((pid) => identityOf(pid).uids[0])).toEqual([65534, 65534]);
  const peers = new Peers(network);
  expect(await peers.tcp('::1', 1201, 'here\n')).toBe('here\n');
  expect(await peers.udp('::1', 1201, 'here\n')).toBe('here\n');
  expect(await peers.tcp('127.0.0.1', 1200)).toMatch(/day, /);
  daemon.signal('SIGTERM');
  expect(await daemon.end()).toEqual({ code: 0, signal: null });
});
