import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Limits of the control groups that this process is in, see cgroups(7). Undefined where nothing is limited. */
export interface CgroupLimits {
  /** Processors' worth of CPU time: 0.5 is half of one. */
  readonly cpus: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** Returns the text of a file, or undefined if it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/**
 * Reads the limits of the control groups of this process and of all groups above them, of both versions. The lowest
 * limit counts.
 */
export function readCgroupLimits(read: ReadText = readText): CgroupLimits {
  const memberships = parseMemberships(read('/proc/self/cgroup') ?? '');
  const mounts = parseMounts(read('/proc/self/mountinfo') ?? '');
  const directories = (controller: Controller): readonly Directory[] =>
    memberships
      .filter(({ controllers }) => controllers === undefined || controllers.includes(controller))
      .flatMap(({ controllers, path }) => {
        const isOurs = (mount: Mount): boolean =>
          controllers === undefined
            ? mount.controllers === undefined
            : mount.controllers?.includes(controller) === true;
        const mount = mounts.find(isOurs);
        return mount === undefined ? [] : directoriesOf(mount, path);
      });
  return {
    cpus: lowest(directories('cpu').map((directory) => cpusOf(directory, read))),
    memoryBytes: lowest(directories('memory').flatMap((directory) => memoryOf(directory, read))),
  };
}

type Controller = 'cpu' | 'memory';

/** A line of /proc/self/cgroup. Version 2 has no list of controllers. */
interface Membership {
  readonly controllers: readonly string[] | undefined;
  readonly path: string;
}

/** Where a hierarchy is mounted. */
interface Mount {
  readonly controllers: readonly string[] | undefined;
  /** The group that the mount shows as its root. A container may not see those above it. */
  readonly root: string;
  readonly point: string;
}

interface Directory {
  readonly path: string;
  readonly version: 1 | 2;
}

/** Lines such as `4:cpu,cpuacct:/system.slice`, or `0::/system.slice` for version 2. */
function parseMemberships(text: string): readonly Membership[] {
  return text.split('\n').flatMap((line) => {
    const [, id, controllers = '', path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    return [{ controllers: id === '0' && controllers === '' ? undefined : controllers.split(','), path }];
  });
}

/** See proc_pid_mountinfo(5): `36 35 98:0 ROOT POINT options [optional fields] - TYPE source SUPEROPTIONS`. */
function parseMounts(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const controllers = type === 'cgroup2' ? undefined : options.split(',');
    return [{ controllers, root: unescapeSpaces(root), point: unescapeSpaces(point) }];
  });
}

function unescapeSpaces(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The directories of a group and of those above it, as far as the mount shows them. */
function directoriesOf({ controllers, root, point }: Mount, path: string): readonly Directory[] {
  const inside = root === '/' ? path : path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : '';
  const names = inside.split('/').filter((name) => name !== '');
  // A group outside the part that this process sees.
  const known = names.includes('..') ? [] : names;
  const version = controllers === undefined ? 2 : 1;
  return Array.from({ length: known.length + 1 }, (_, depth) => ({
    path: join(point, ...known.slice(0, depth)),
    version,
  }));
}

function cpusOf({ path, version }: Directory, read: ReadText): number | undefined {
  // https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files: `max 100000`, or the quota.
  const [quota, period] =
    version === 2
      ? (read(join(path, 'cpu.max')) ?? '').trim().split(' ')
      : [read(join(path, 'cpu.cfs_quota_us')), read(join(path, 'cpu.cfs_period_us'))];
  const [quotaUs, periodUs] = [numberIn(quota), numberIn(period)];
  return quotaUs === undefined || periodUs === undefined || periodUs === 0 ? undefined : quotaUs / periodUs;
}

/** Beyond `memory.high` a process is slowed down so much that it counts as a limit, too. */
function memoryOf({ path, version }: Directory, read: ReadText): readonly (number | undefined)[] {
  const files = version === 2 ? ['memory.max', 'memory.high'] : ['memory.limit_in_bytes'];
  return files.map((file) => numberIn(read(join(path, file))));
}

/** `max` and -1 are no limit. */
function numberIn(text: string | undefined): number | undefined {
  const digits = /^\s*(\d+)\s*$/.exec(text ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function lowest(limits: readonly (number | undefined)[]): number | undefined {
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
