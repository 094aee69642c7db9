import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout, childrenOf, type Network } from './machine.ts';
import { Program, run } from './program.ts';

/** What the Dockerfile builds upon; the test makes its own. */
const base = 'docker.io/library/node:26-trixie-slim';
/** A tool is ended when it takes this long. */
const patienceMs = 400_000;

/** What an engine reads in an image. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

/** The image of the Dockerfile, built by buildah(1) in a directory of its own, and its files. */
export class Image {
  readonly config: ImageConfig;
  /** Bytes of its files, and of what a registry holds: its layers, compressed with gzip. */
  readonly size: { readonly unpacked: number; readonly compressed: number };
  /** The root of its files. */
  readonly files: string;
  readonly #directory: string;

  private constructor(directory: string, config: ImageConfig, size: Image['size'], files: string) {
    this.#directory = directory;
    this.config = config;
    this.size = size;
    this.files = files;
  }

  /** Builds the checkout. Takes a minute or two; `remove` ends it. */
  static build(): Image {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-image-'));
    try {
      makeBase(directory);
      buildah(
        directory,
        'bud',
        '--isolation',
        'chroot',
        '--pull-never',
        '--format',
        'docker',
        '--tag',
        'smallservd',
        checkout,
      );
      const inspected = JSON.parse(buildah(directory, 'inspect', '--type', 'image', 'smallservd')) as {
        Docker: { config: ImageConfig };
      };
      const container = buildah(directory, 'from', '--pull-never', 'localhost/smallservd');
      const files = buildah(directory, 'mount', container);
      const unpacked = sizeOf(files);
      const pushed = join(directory, 'pushed');
      buildah(directory, 'push', '--quiet', 'localhost/smallservd', `oci:${pushed}`);
      return new Image(directory, inspected.Docker.config, { unpacked, compressed: sizeOf(pushed) }, files);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * Debian 13 with Node 26 and npm where the official image has them, and the ways of this machine to Debian's mirror and
 * to npm's registry.
 */
function makeBase(directory: string): void {
  const container = buildah(directory, 'from', 'scratch');
  const root = buildah(directory, 'mount', container);
  const repositories = tool('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Origin: Debian', 'Label: Debian']);
  const mirror = repositories.split('\n').find((line) => line !== '') ?? 'http://deb.debian.org/debian';
  tool('mmdebstrap', ['--variant=apt', '--mode=root', '--include=libatomic1', 'trixie', root, mirror]);
  writeFileSync(join(root, 'etc/apt/apt.conf.d/90test'), tool('apt-config', ['dump', 'Acquire::http::Proxy']));

  const packages = join(directory, 'packages');
  const node = `node-linux-${process.arch}`;
  mkdirSync(packages);
  writeFileSync(join(packages, 'package.json'), '{ "private": true }');
  tool('npm', ['install', '--ignore-scripts', '--prefer-offline', '--prefix', packages, `${node}@26`, 'npm@11']);
  const modules = join(packages, 'node_modules');
  const [local, libraries] = [join(root, 'usr/local'), join(root, 'usr/local/lib/node_modules')];
  copyFileSync(join(modules, node, 'bin/node'), join(local, 'bin/node'));
  copyFileSync(join(modules, node, 'LICENSE'), join(local, 'LICENSE'));
  cpSync(join(modules, node, 'include'), join(local, 'include'), { recursive: true });
  cpSync(join(modules, 'npm'), join(libraries, 'npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));

  const certificates = 'etc/ssl/certs/ca-certificates.crt';
  mkdirSync(join(root, 'etc/ssl/certs'), { recursive: true });
  copyFileSync(join('/', certificates), join(root, certificates));
  const environment = [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `NODE_EXTRA_CA_CERTS=/${certificates}`,
    `npm_config_registry=${tool('npm', ['config', 'get', 'registry'])}`,
  ];
  buildah(directory, 'config', ...environment.flatMap((each) => ['--env', each]), container);
  buildah(directory, 'commit', '--quiet', '--format', 'docker', '--rm', container, base);
  rmSync(packages, { recursive: true });
}

function buildah(directory: string, ...args: readonly string[]): string {
  const storage = ['--root', join(directory, 'images'), '--runroot', join(directory, 'run'), '--storage-driver', 'vfs'];
  return tool('buildah', [...storage, ...args]);
}

/** Bytes of all files in a directory. */
function sizeOf(directory: string): number {
  return Number.parseInt(tool('du', ['--summarize', '--bytes', directory]), 10);
}

/** Runs a program to its end, which must be a good one, and returns what it wrote, without the line ends around it. */
function tool(command: string, args: readonly string[]): string {
  const options = { encoding: 'utf8', timeout: patienceMs, maxBuffer: 1 << 26, cwd: checkout } as const;
  return execFileSync(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

export interface ContainerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A directory that is mounted over /etc/smallservd. */
  readonly etc?: string;
}

/**
 * What `docker run --read-only --cap-drop ALL --security-opt no-new-privileges` makes of an image, in a network of the
 * test: the first process of a process namespace, as the user of the image.
 */
export class Container extends Program {
  readonly #image: Image;
  readonly #environment: readonly string[];

  constructor(image: Image, network: Network, { args, env = {}, etc = '' }: ContainerOptions = {}) {
    const environment = [...image.config.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
    const command = [...image.config.Entrypoint, ...(args ?? image.config.Cmd)];
    const unshare = ['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child=SIGKILL'];
    const prepare = ['sh', '-c', mounts, 'sh', image.files, etc];
    const [uid, gid] = image.config.User.split(':');
    const become = [`--root=${image.files}`, `--wd=${image.config.WorkingDir}`, `--setuid=${uid}`, `--setgid=${gid}`];
    const restrict = ['setpriv', '--no-new-privs', '--bounding-set=-all,+setuid,+setgid,+sys_chroot'];
    const enter = ['env', '-i', ...environment, '/usr/bin/unshare', ...become, '--'];
    super(network.inside([...unshare, ...prepare, ...restrict, ...enter, ...command]));
    this.#image = image;
    this.#environment = environment;
  }

  /** Its first process, which gets the signals of an engine. */
  get first(): number {
    const [first] = childrenOf(this.pid);
    if (first === undefined) throw new Error(`the container has ended: ${this.output}${this.complaints}`);
    return first;
  }

  /** What `docker exec` does. */
  async run(...command: readonly string[]): Promise<Program> {
    const { WorkingDir, User } = this.#image.config;
    const [uid, gid] = User.split(':');
    const enter = [
      '/usr/bin/nsenter',
      `--target=${this.first}`,
      '--mount',
      '--pid',
      '--ipc',
      '--uts',
      '--net',
      '--root',
    ];
    const become = [`--wd=/proc/${this.first}/root${WorkingDir}`, `--setuid=${uid}`, `--setgid=${gid}`];
    return run(['env', '-i', ...this.#environment, ...enter, ...become, '--', ...command]);
  }
}

/** `$1` is the root, `$2` a directory to mount over /etc/smallservd, or nothing. */
const mounts = `set -e
root=$1 etc=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
if [ -n "$etc" ]; then mount --bind "$etc" "$root/etc/smallservd"; fi
mount -o remount,bind,ro "$root"
exec "$@"`;
