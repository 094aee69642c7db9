/** The shell in which docs/TESTING.md has its readers type. */
import { temporaryDirectory } from './machine.ts';
import { type Lab, writePrograms } from './lab.ts';
import { Program } from './program.ts';

/** Starts a shell with networks, mounts and processes of its own, which all end with it. */
export const sessionShell = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;

/** Starts it, and resolves when commands can run inside. It ends with the test. */
export async function startSessionShell(): Promise<Lab> {
  const directory = temporaryDirectory();
  const shell = new Program([...sessionShell, 'sh', '-c', 'echo ready && exec sleep infinity'], { directory });
  await shell.says(/ready/);
  const [, process] = shell.family;
  const programs = writePrograms();
  const enter = ['nsenter', '--target', String(process), '--net', '--mount', '--pid', '--wd'];
  return {
    directory,
    inside: (argv) => [...enter, 'sh', '-c', `PATH='${programs}':$PATH exec "$@"`, 'sh', ...argv],
  };
}
