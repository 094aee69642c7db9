/** Control groups (cgroups(7)) that limit what a test starts. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { until } from '../support/wait.ts';

export interface Limits {
  /** Processors' worth of CPU time. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
}

const root = '/sys/fs/cgroup';
const periodUs = 100_000;
let groups = 0;

/** A group of this test alone, of version 2 or, where the controllers are there, 1. */
export class ControlGroup {
  readonly #directories: readonly string[];

  private constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Returns why there can be none, where the machine has none to give. */
  static make(limits: Limits): ControlGroup | string {
    groups += 1;
    const name = `smallservd-test-${process.pid}-${groups}`;
    try {
      const isVersion2 = existsSync(join(root, 'cgroup.controllers'));
      const directories = isVersion2 ? [version2(name, limits)] : version1(name, limits);
      const group = new ControlGroup(directories);
      onTestFinished(async () => group.#remove());
      return group;
    } catch (error) {
      return `this machine lets nobody make control groups: ${String(error)}`;
    }
  }

  /** The command line that runs another in this group; the process keeps its id. */
  inside(argv: readonly string[]): readonly string[] {
    const enter = this.#directories.map((directory) => `echo $$ > ${directory}/cgroup.procs`);
    return ['sh', '-c', [...enter, 'exec "$@"'].join(' && '), 'sh', ...argv];
  }

  /** How often the kernel killed a process for want of memory. */
  get killed(): number {
    const texts = this.#directories.flatMap((directory) =>
      ['memory.events', 'memory.oom_control'].map((file) => readText(join(directory, file))),
    );
    return Number(/^oom_kill (\d+)$/m.exec(texts.join('\n'))?.[1]);
  }

  async #remove(): Promise<void> {
    await until(
      () => this.#directories.every((directory) => readText(join(directory, 'cgroup.procs')) === ''),
      'empty groups',
    );
    for (const directory of this.#directories) rmdirSync(directory);
  }
}

function version2(name: string, { cpus, memoryBytes }: Limits): string {
  writeFileSync(join(root, 'cgroup.subtree_control'), '+cpu +memory');
  const directory = join(root, name);
  mkdirSync(directory);
  if (cpus !== undefined) writeFileSync(join(directory, 'cpu.max'), `${cpus * periodUs} ${periodUs}`);
  if (memoryBytes !== undefined) {
    writeFileSync(join(directory, 'memory.max'), String(memoryBytes));
    if (existsSync(join(directory, 'memory.swap.max'))) writeFileSync(join(directory, 'memory.swap.max'), '0');
  }
  return directory;
}

function version1(name: string, { cpus, memoryBytes }: Limits): readonly string[] {
  const directories: string[] = [];
  if (cpus !== undefined) {
    const directory = join(root, 'cpu', name);
    mkdirSync(directory);
    writeFileSync(join(directory, 'cpu.cfs_period_us'), String(periodUs));
    writeFileSync(join(directory, 'cpu.cfs_quota_us'), String(cpus * periodUs));
    directories.push(directory);
  }
  if (memoryBytes !== undefined) {
    const directory = join(root, 'memory', name);
    mkdirSync(directory);
    writeFileSync(join(directory, 'memory.limit_in_bytes'), String(memoryBytes));
    if (existsSync(join(directory, 'memory.memsw.limit_in_bytes')))
      writeFileSync(join(directory, 'memory.memsw.limit_in_bytes'), String(memoryBytes));
    directories.push(directory);
  }
  return directories;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
