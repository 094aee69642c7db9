import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The login names of the users who are logged in, as the command `who` lists them. */
export async function listUsers(): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)('who', [], {
    env: { ...process.env, LC_ALL: 'C' },
    timeout: 4000,
    killSignal: 'SIGKILL',
    maxBuffer: 256 * 1024,
  });
  return loginNames(stdout);
}

/** The login names in what `who` prints: each once, sorted; names of other than printable ASCII are left out. */
export function loginNames(output: string): readonly string[] {
  const names = output.split('\n').map((line) => line.split(' ', 1)[0] ?? '');
  return [...new Set(names)].filter((name) => /^[!-~]+$/.test(name)).toSorted();
}
