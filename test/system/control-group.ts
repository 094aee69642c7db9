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
  readonly #folders: readonly string[];

  private constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Returns why there can be none, where the machine has none to give. */
  static make(limits: Limits): ControlGroup | string {
    groups += 1;
    const name = `smallservd-test-${process.pid}-${groups}`;
    try {
      const isVersion2 = existsSync(join(root, 'cgroup.controllers'));
      const folders = isVersion2 ? [version2(name, limits)] : version1(name, limits);
      const group = new ControlGroup(folders);
      onTestFinished(async () => group.#remove());
      return group;
    } catch (error) {
      return `this machine lets nobody make control groups: ${String(error)}`;
    }
  }

  /** The command line that runs another in this group; the process keeps its id. */
  inside(argv: readonly string[]): readonly string[] {
    const enter = this.#folders.map((folder) => `echo $$ > ${folder}/cgroup.procs`);
    return ['sh', '-c', [...enter, 'exec "$@"'].join(' && '), 'sh', ...argv];
  }

  /** How often the kernel killed a process for want of memory. */
  get killed(): number {
    const texts = this.#folders.flatMap((folder) =>
      ['memory.events', 'memory.oom_control'].map((file) => readText(join(folder, file))),
    );
    return Number(/^oom_kill (\d+)$/m.exec(texts.join('\n'))?.[1]);
  }

  async #remove(): Promise<void> {
    await until(() => this.#folders.every((folder) => readText(join(folder, 'cgroup.procs')) === ''), 'empty groups');
    for (const folder of this.#folders) rmdirSync(folder);
  }
}

function version2(name: string, { cpus, memoryBytes }: Limits): string {
  writeFileSync(join(root, 'cgroup.subtree_control'), '+cpu +memory');
  const folder = join(root, name);
  mkdirSync(folder);
  if (cpus !== undefined) writeFileSync(join(folder, 'cpu.max'), `${cpus * periodUs} ${periodUs}`);
  if (memoryBytes !== undefined) {
    writeFileSync(join(folder, 'memory.max'), String(memoryBytes));
    if (existsSync(join(folder, 'memory.swap.max'))) writeFileSync(join(folder, 'memory.swap.max'), '0');
  }
  return folder;
}

function version1(name: string, { cpus, memoryBytes }: Limits): readonly string[] {
  const folders: string[] = [];
  if (cpus !== undefined) {
    const folder = join(root, 'cpu', name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'cpu.cfs_period_us'), String(periodUs));
    writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(cpus * periodUs));
    folders.push(folder);
  }
  if (memoryBytes !== undefined) {
    const folder = join(root, 'memory', name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'memory.limit_in_bytes'), String(memoryBytes));
    if (existsSync(join(folder, 'memory.memsw.limit_in_bytes')))
      writeFileSync(join(folder, 'memory.memsw.limit_in_bytes'), String(memoryBytes));
    folders.push(folder);
  }
  return folders;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
