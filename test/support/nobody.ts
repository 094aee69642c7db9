import { accessSync, chmodSync, constants, copyFileSync, cpSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ProcessOptions, root, temporaryDirectory } from './daemon-process.ts';
import { copyPackages } from './packages.ts';

/** The id of `nobody` and its group on Debian; that no account may have it does not matter. */
const nobody = 65_534;

/**
 * How to start the daemon without any right of root. Root starts it as nobody, from a copy where nobody can read the
 * checkout or run this Node; everybody else as they are.
 */
export function unprivileged(): ProcessOptions {
  if (process.geteuid?.() !== 0) return {};
  const install = isOpenToAll(root) ? root : copyInstall();
  const program = isOpenToAll(process.execPath) ? process.execPath : copyNode();
  return { command: [program, join(install, 'dist/smallservd.js')], cwd: '/', uid: nobody, gid: nobody };
}

function isOpenToAll(path: string): boolean {
  const isOpen = (statSync(path).mode & constants.S_IXOTH) !== 0;
  const parent = dirname(path);
  return isOpen && (parent === path || isOpenToAll(parent));
}

/** What the package installs: itself and the packages that it needs. */
function copyInstall(): string {
  const directory = temporaryDirectory();
  for (const path of ['dist', 'config', 'package.json'])
    cpSync(join(root, path), join(directory, path), { recursive: true });
  copyPackages(directory);
  return directory;
}

function copyNode(): string {
  const copy = join(temporaryDirectory(), 'node');
  copyFileSync(process.execPath, copy, constants.COPYFILE_FICLONE);
  chmodSync(copy, 0o755);
  accessSync(copy, constants.X_OK);
  return copy;
}
