import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The processor of the servers, and that of the load and of everything else. */
export interface Processors {
  readonly server: number;
  readonly load: number;
}

/** Reads a list of processors as the kernel writes it, such as `0-3,8`. */
export function readProcessorList(text: string): readonly number[] {
  return text
    .trim()
    .split(',')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/**
 * Chooses two processors of those that this process may use, on different cores if there are any.
 *
 * @throws Error if there is only one.
 */
export function chooseProcessors(): Processors {
  const status = readFileSync('/proc/self/status', 'latin1');
  const allowed = readProcessorList(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '0');
  const [server = 0, ...others] = allowed;
  const siblings = siblingsOf(server);
  const load = others.find((processor) => !siblings.includes(processor)) ?? others[0];
  if (load === undefined) throw new Error('bench: it needs two processors, one for the servers and one for the load');
  return { server, load };
}

/** The hardware threads of one core. */
export function siblingsOf(processor: number): readonly number[] {
  try {
    const path = `/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`;
    return readProcessorList(readFileSync(path, 'latin1'));
  } catch {
    return [processor];
  }
}

/** Binds the calling process, so that it never disturbs a server. */
export function pinThisProcess(processor: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(processor), String(process.pid)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
