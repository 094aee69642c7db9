import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { blocksOf, read } from '../repository/files.ts';
import { Container, type ContainerOptions, Image } from './container.ts';
import { checkout, identityOf, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { kill, type Program, run } from './program.ts';

needs('buildah', 'mmdebstrap', 'unshare', 'nsenter', 'setpriv', 'mount', 'ip', 'nc');

const daytime = /^\w+day, \w+ \d{1,2}, \d{4} \d\d:\d\d:\d\d-UTC\r\n$/;
let image: Image;

beforeAll(() => {
  image = Image.build();
  process.stdout.write(`the image has ${inMB(image.size.unpacked)} MB, compressed ${inMB(image.size.compressed)} MB\n`);
}, 480_000);
afterAll(() => image?.remove());

function inMB(bytes: number): number {
  return Math.round(bytes / 1e6);
}

/** Of a path from the root of the image, without the slash. */
function isThere(path: string): boolean {
  return existsSync(join(image.files, path));
}

/** In an engine's network namespace everybody may bind low ports. */
function lowPorts(): Network {
  const network = Network.make();
  network.set('net/ipv4/ip_unprivileged_port_start', 0);
  return network;
}

async function start(network: Network, options: ContainerOptions = {}): Promise<Container> {
  const container = new Container(image, network, options);
  await container.says(/"msg":"ready"/);
  return container;
}

/** The HEALTHCHECK, as the engine runs it. */
async function health(container: Container): Promise<Program> {
  return container.run(...image.config.Healthcheck.Test.slice(1));
}

describe('the image', () => {
  it('declares its user, stop signal, entrypoint, health check and title', () => {
    expect(image.config).toMatchObject({
      User: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/) as string,
      StopSignal: 'SIGTERM',
      Entrypoint: ['smallservd'],
      Healthcheck: { Test: ['CMD', 'smallservd', 'status'] },
    });
    expect(image.config.Labels).toMatchObject({ 'org.opencontainers.image.title': 'smallservd' });
  });

  it('contains the runtime files but no sources or build tools', () => {
    const present = ['dist/smallservd.js', 'dist/smallserv.js', 'node_modules/pino', 'package.json', 'LICENSE'];
    expect(present.filter((path) => !isThere(join('opt/smallservd', path)))).toEqual([]);
    const libraries = ['libc6', 'libgcc-s1', 'libstdc++6'].map((name) => `usr/share/doc/${name}/copyright`);
    const licenses = ['usr/local/LICENSE', ...libraries];
    expect(licenses.filter((path) => !isThere(path))).toEqual([]);
    const absent = ['src', 'test', '.git', 'node_modules/typescript', 'node_modules/vitest', 'node_modules/nan'];
    expect(absent.filter((path) => isThere(join('opt/smallservd', path)))).toEqual([]);
  });

  it('contains no program but Node and ours, and is small', () => {
    const libraries = ['!', '-path', '*/node_modules/*', '!', '-name', '*.so*'];
    const found = execFileSync('find', [image.files, '-type', 'f', '-perm', '/111', ...libraries, '-printf', '%P ']);
    const programs = String(found).trim().split(' ');
    expect(programs.toSorted()).toEqual([
      'opt/smallservd/dist/smallserv.js',
      'opt/smallservd/dist/smallservd.js',
      'usr/local/bin/node',
    ]);
    expect(inMB(image.size.unpacked)).toBeLessThanOrEqual(140);
    expect(inMB(image.size.compressed)).toBeLessThanOrEqual(55);
  });
});

describe('an unprivileged, read-only container without a shell', () => {
  it('serves the well-known ports over TCP and UDP, is healthy and stops on SIGTERM', async () => {
    const network = lowPorts();
    const container = await start(network);
    const peers = new Peers(network);
    for (const host of ['127.0.0.1', '::1']) {
      expect(await peers.tcp(host, 7, 'hello\n')).toBe('hello\n');
      expect(await peers.udp(host, 7, 'hello\n')).toBe('hello\n');
      expect(await peers.tcp(host, 13)).toMatch(daytime);
      expect(await peers.udp(host, 13)).toMatch(daytime);
      expect((await peers.tcpBytes(host, 37)).length).toBe(4);
    }
    expect(await peers.tcp('127.0.0.1', 9, 'hello\n')).toBe('');
    expect(await peers.tcp('127.0.0.1', 11)).toMatch(/^0 users\r\n$/);
    expect(await peers.tcp('127.0.0.1', 17)).not.toBe('');
    const time = peers.talk('-u', '127.0.0.1', '37');
    time.type('\n');
    await time.until(() => time.bytes.length === 4, 'the time over UDP');

    const uid = Number.parseInt(image.config.User, 10);
    for (const pid of container.family.slice(1)) {
      expect(identityOf(pid)).toMatchObject({ groups: [], capabilities: 0n });
      expect(new Set([...identityOf(pid).uids, ...identityOf(pid).gids])).toEqual(new Set([uid]));
    }
    // It can call the kernel.
    expect(container.output).not.toContain('cannot set no_new_privs');
    const healthy = await health(container);
    expect(healthy.output).toMatch(/: ready\n/);
    expect(await healthy.end()).toEqual({ code: 0, signal: null });

    kill(container.first, image.config.StopSignal as NodeJS.Signals);
    expect(await container.end()).toEqual({ code: 0, signal: null });
  });

  it('has a read-only root, no shell and the client tools', async () => {
    const container = await start(lowPorts());
    const write = await container.run('node', '-e', "require('node:fs').writeFileSync('/tmp/file', '')");
    expect(write.complaints).toContain('EROFS');
    const spawn = await container.run('node', '-e', "require('node:child_process').execSync('true')");
    expect(spawn.complaints).toContain('ENOENT');
    const client = await container.run('smallserv', 'daytime', '127.0.0.1');
    expect(client.output).toMatch(/day, /);
    expect((await client.end()).code).toBe(0);
  });

  it('loads raw-socket compiled for its Node version', async () => {
    const container = await start(lowPorts());
    const open = "require('/opt/smallservd/node_modules/raw-socket').createSocket({ protocol: 1 })";
    // It comes as far as the kernel, which wants a capability.
    expect((await container.run('node', '-e', open)).complaints).toContain('Operation not permitted');
  });

  it('lets clients finish for at most shutdown.grace', async () => {
    const network = lowPorts();
    const container = await start(network, { args: ['--set', 'shutdown.grace=1s'] });
    const client = new Peers(network).talk('127.0.0.1', '7');
    client.type('one\n');
    await client.says(/^one\n/);
    kill(container.first, 'SIGTERM');
    expect(await container.end()).toEqual({ code: 0, signal: null });
    expect(container.output).toContain('"reason":"shutdown"');
  });

  it('can be configured through the environment', async () => {
    const network = lowPorts();
    const env = {
      SMALLSERVD_ADMIN__LISTEN: 'tcp://*:9013',
      SMALLSERVD_SERVICES__ECHO__LISTEN: '["tcp://*:2007", "udp://*:2007"]',
      SMALLSERVD_SERVICES__DAYTIME__FORMAT: 'iso8601',
    };
    const container = await start(network, { env });
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', 2007, 'hello\n')).toBe('hello\n');
    expect(await peers.udp('::1', 2007, 'hello\n')).toBe('hello\n');
    expect(await peers.tcp('127.0.0.1', 13)).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect((await (await health(container)).end()).code).toBe(0);
  });

  it('reads a mounted config file at startup and on reload', async () => {
    const etc = temporaryDirectory();
    const config = join(etc, 'smallservd.yaml');
    writeFileSync(config, 'admin: { listen: "tcp://127.0.0.1:9014" }\nservices: { echo: { listen: ["tcp://*:7"] } }\n');
    const network = lowPorts();
    const container = await start(network, { etc });
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', 7, 'hello\n')).toBe('hello\n');
    expect(await peers.tcp('127.0.0.1', 13)).toBe('');
    expect((await (await health(container)).end()).code).toBe(0);

    writeFileSync(config, 'admin: { listen: "tcp://127.0.0.1:9014" }\nservices: { echo: { listen: ["tcp://*:8"] } }\n');
    const reload = await container.run('smallservd', 'reload');
    expect(reload.complaints).toBe('');
    expect((await reload.end()).code).toBe(0);
    expect(await peers.tcp('127.0.0.1', 8, 'hello\n')).toBe('hello\n');
  });

  it('reports a config error and exits with 78', async () => {
    const container = new Container(image, lowPorts(), { env: { SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOUT: '5' } });
    expect(await container.end()).toEqual({ code: 78, signal: null });
    expect(container.complaints).toContain('SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOUT');
  });

  it('is unhealthy if no daemon answers', async () => {
    const container = new Container(image, lowPorts(), { args: ['status'] });
    expect(await container.end()).toEqual({ code: 2, signal: null });
    expect(container.complaints).toContain('no daemon answers at tcp://localhost:9013');
  });
});

/** The words of the commands in docs/DOCKER.md, after `docker run` or `docker exec`. */
function commandsOf(verb: 'run' | 'exec'): readonly (readonly string[])[] {
  return blocksOf(read('docs/DOCKER.md'))
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'))
    .map((line) => line.split(/\s+/))
    .filter(([docker, subcommand]) => docker === 'docker' && subcommand === verb)
    .map((words) => words.slice(2));
}

const flags = new Set(['--detach', '--rm', '--read-only']);

interface ParsedRun {
  /** What stands behind an option, each time that it is there. */
  readonly valuesOf: (option: string) => readonly string[];
  /** What stands behind the image. */
  readonly args: readonly string[];
}

function parseRun(words: readonly string[]): ParsedRun {
  const options: (readonly [string, string])[] = [];
  let index = 0;
  while (words[index]?.startsWith('-')) {
    const option = words[index] ?? '';
    if (!flags.has(option)) options.push([option, words[index + 1] ?? '']);
    index += flags.has(option) ? 1 : 2;
  }
  expect(words[index]).toBe('smallservd');
  return {
    valuesOf: (wanted) => options.filter(([option]) => option === wanted).map(([, value]) => value),
    args: words.slice(index + 1),
  };
}

/** A directory as the one that docs/DOCKER.md mounts: with a config that somebody wrote. */
function directoryWithConfig(path: string): string {
  const directory = temporaryDirectory();
  copyFileSync(join(checkout, path), join(directory, 'smallservd.yaml'));
  return directory;
}

describe('docs/DOCKER.md', () => {
  const runs = commandsOf('run');

  it('contains docker run and docker exec commands', () => {
    expect(runs.length).toBeGreaterThan(5);
    expect(commandsOf('exec').length).toBeGreaterThan(3);
  });

  it.each(runs.map((words) => [words.join(' '), words] as const))('docker run %s', async (_line, words) => {
    const { valuesOf, args } = parseRun(words);
    const [volume] = valuesOf('--volume');
    const options = {
      args,
      env: Object.fromEntries(valuesOf('--env').map((variable) => variable.split('=', 2) as [string, string])),
      ...(volume === undefined ? {} : { etc: directoryWithConfig('config/well-known.yaml') }),
    };
    if (volume !== undefined) expect(volume).toMatch(/^\/\S+:\/etc\/smallservd:ro$/);
    if (args[0] === 'check') {
      const check = new Container(image, lowPorts(), options);
      expect(await check.end()).toEqual({ code: 0, signal: null });
      return;
    }
    const container = await start(lowPorts(), options);
    expect((await (await health(container)).end()).code).toBe(0);
    const status = await container.run('smallservd', 'status', '--json');
    const { listeners } = JSON.parse(status.output) as { listeners: readonly { address: string }[] };
    const open = new Set(listeners.map(({ address }) => address.replace(/:\/\/.*:/, ' ')));
    const published = valuesOf('-p').map((port) => /(\d+)(?:\/(udp))?$/.exec(port) ?? []);
    const wanted = published.map(([, port, protocol = 'tcp']) => `${protocol} ${port}`);
    expect(wanted.filter((port) => port !== 'tcp 9013' && !open.has(port))).toEqual([]);
  });

  it('docker exec commands succeed', async () => {
    const container = await start(lowPorts());
    for (const [name, ...command] of commandsOf('exec')) {
      expect(name).toBe('smallservd');
      const program = await container.run(...command);
      expect(await program.end(), `${command.join(' ')}: ${program.complaints}`).toEqual({ code: 0, signal: null });
    }
  });
});

it('the image with the Deployment config and environment passes the kubelet probes and serves metrics', async () => {
  const manifest = parse(readFileSync(join(checkout, 'deploy/kubernetes/deployment.yaml'), 'utf8')) as {
    spec: { template: { spec: { containers: readonly [{ env: readonly { name: string; value: string }[] }] } } };
  };
  const { env } = manifest.spec.template.spec.containers[0];
  const network = lowPorts();
  await start(network, {
    etc: directoryWithConfig('deploy/kubernetes/smallservd.yaml'),
    env: Object.fromEntries(env.map(({ name, value }) => [name, value])),
  });
  const ask = (path: string): Promise<Program> => {
    const get = `fetch('http://127.0.0.2:9013${path}').then((answer) => process.exit(console.log(answer.status)))`;
    return run(network.inside([process.execPath, '-e', get]));
  };
  expect((await ask('/readyz')).output).toBe('200\n');
  expect((await ask('/livez')).output).toBe('200\n');
  expect((await ask('/metrics')).output).toBe('200\n');
});
