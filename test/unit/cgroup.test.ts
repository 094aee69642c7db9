import { describe, expect, it } from 'vitest';
import { readCgroupLimits } from '../../src/cgroup.ts';

const version2Mount = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';
const version1Mounts = [
  '31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755',
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct',
  '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
  '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
].join('\n');
const unlimited = '9223372036854771712\n';
const mebibytes = (number: number): number => number * 2 ** 20;

/** The limits where there are only these files. */
function limitsOf(files: Readonly<Record<string, string>>): ReturnType<typeof readCgroupLimits> {
  return readCgroupLimits((path) => files[path]);
}

/** Version 2: a group `/system.slice/smallservd.service` with these files. */
function version2(files: Readonly<Record<string, string>>): ReturnType<typeof readCgroupLimits> {
  const inGroups = Object.entries(files).map(([path, text]) => [`/sys/fs/cgroup/${path}`, text]);
  return limitsOf({
    '/proc/self/cgroup': '0::/system.slice/smallservd.service\n',
    '/proc/self/mountinfo': version2Mount,
    ...Object.fromEntries(inGroups),
  });
}

describe('version 2', () => {
  const group = 'system.slice/smallservd.service';

  it('reads quota and memory of the group', () => {
    const files = { [`${group}/cpu.max`]: '5000 100000\n', [`${group}/memory.max`]: '67108864\n' };
    expect(version2(files)).toEqual({ cpus: 0.05, memoryBytes: mebibytes(64) });
  });

  it('takes the lowest limit of the groups above it', () => {
    const files = {
      [`${group}/cpu.max`]: 'max 100000\n',
      'system.slice/cpu.max': '150000 100000\n',
      'cpu.max': '300000 100000\n',
      [`${group}/memory.max`]: '268435456\n',
      'system.slice/memory.max': '134217728\n',
    };
    expect(version2(files)).toEqual({ cpus: 1.5, memoryBytes: mebibytes(128) });
  });

  it('counts memory.high as a limit', () => {
    const files = { [`${group}/memory.max`]: '134217728\n', [`${group}/memory.high`]: '67108864\n' };
    expect(version2(files).memoryBytes).toBe(mebibytes(64));
  });

  it('finds no limit in "max"', () => {
    const files = { [`${group}/cpu.max`]: 'max 100000\n', [`${group}/memory.max`]: 'max\n' };
    expect(version2(files)).toEqual({ cpus: undefined, memoryBytes: undefined });
  });

  it('finds the limits of a container at the root of its mount', () => {
    const files = {
      '/proc/self/mountinfo': '30 23 0:26 /docker/4f /sys/fs/cgroup ro - cgroup2 cgroup ro',
      '/sys/fs/cgroup/cpu.max': '50000 100000\n',
      '/sys/fs/cgroup/inner/memory.max': '67108864\n',
    };
    const expected = { cpus: 0.5, memoryBytes: mebibytes(64) };
    expect(limitsOf({ ...files, '/proc/self/cgroup': '0::/docker/4f/inner\n' })).toEqual(expected);
    // The file may also tell the path as seen from elsewhere.
    for (const path of ['/../4f', '/docker/4fa', '/'])
      expect(limitsOf({ ...files, '/proc/self/cgroup': `0::${path}\n` }).cpus, path).toBe(0.5);
  });

  it('finds groups and mounts with spaces in their names', () => {
    const files = {
      '/proc/self/cgroup': '0::/a b\n',
      '/proc/self/mountinfo': String.raw`30 23 0:26 / /sys/fs/c\040group rw - cgroup2 cgroup2 rw`,
      '/sys/fs/c group/a b/memory.max': '67108864\n',
    };
    expect(limitsOf(files).memoryBytes).toBe(mebibytes(64));
  });
});

describe('version 1', () => {
  const files = {
    '/proc/self/cgroup': '9:name=systemd:/\n4:memory:/pods/one\n2:cpu,cpuacct:/pods/one\n0::/\n',
    '/proc/self/mountinfo': version1Mounts,
  };
  const cpu = '/sys/fs/cgroup/cpu,cpuacct';
  const memory = '/sys/fs/cgroup/memory';

  it('reads quota and memory of the group and of those above it', () => {
    const limits = limitsOf({
      ...files,
      [`${cpu}/pods/one/cpu.cfs_quota_us`]: '200000\n',
      [`${cpu}/pods/one/cpu.cfs_period_us`]: '100000\n',
      [`${cpu}/pods/cpu.cfs_quota_us`]: '5000\n',
      [`${cpu}/pods/cpu.cfs_period_us`]: '10000\n',
      [`${memory}/pods/one/memory.limit_in_bytes`]: unlimited,
      [`${memory}/pods/memory.limit_in_bytes`]: '67108864\n',
    });
    expect(limits).toEqual({ cpus: 0.5, memoryBytes: mebibytes(64) });
  });

  it('finds no limit in -1', () => {
    const limits = limitsOf({
      ...files,
      [`${cpu}/pods/one/cpu.cfs_quota_us`]: '-1\n',
      [`${cpu}/pods/one/cpu.cfs_period_us`]: '100000\n',
    });
    expect(limits).toEqual({ cpus: undefined, memoryBytes: undefined });
  });
});

it.each([
  ['no files', {}],
  ['empty files', { '/proc/self/cgroup': '', '/proc/self/mountinfo': '' }],
  ['nonsense', { '/proc/self/cgroup': 'x:y\n0:\n\0', '/proc/self/mountinfo': ' - cgroup2\n-\n1 2 3' }],
  ['no mount', { '/proc/self/cgroup': '0::/a\n', '/proc/self/mountinfo': '' }],
])('finds no limits in %s', (_, files) => {
  expect(limitsOf(files)).toEqual({ cpus: undefined, memoryBytes: undefined });
});

it('reads those of this process', () => {
  const { cpus = 1, memoryBytes = 1 } = readCgroupLimits();
  expect(cpus).toBeGreaterThan(0);
  expect(memoryBytes).toBeGreaterThan(0);
});
