import { posix } from 'node:path';

/** Directories hidden from the service by ProtectHome and PrivateTmp in the units (systemd.exec(5)). */
const hidden: readonly (readonly [directory: string, setting: string])[] = [
  ['/home', 'ProtectHome'],
  ['/root', 'ProtectHome'],
  ['/run/user', 'ProtectHome'],
  ['/tmp', 'PrivateTmp'],
  ['/var/tmp', 'PrivateTmp'],
];

const readable = 0o004;
const executable = 0o001;

/**
 * Returns why the service user, a DynamicUser that owns nothing and is in no group, cannot read a path, worded to
 * follow the path, or undefined if it can. `modeOf` returns the permission bits of a file or directory.
 */
export function whyOutOfReach(path: string, modeOf: (path: string) => number): string | undefined {
  const tree = hidden.find(([directory]) => path === directory || path.startsWith(`${directory}/`));
  if (tree !== undefined) return `is in ${tree[0]}, which is hidden from the service (${tree[1]})`;
  const closed = directoriesAbove(path).find((directory) => (modeOf(directory) & executable) === 0);
  if (closed !== undefined) return `is in ${closed}, which other users may not enter (mode ${octal(modeOf(closed))})`;
  const mode = modeOf(path);
  return (mode & readable) === 0 ? `cannot be read by other users (mode ${octal(mode)})` : undefined;
}

/** From the root down. */
function directoriesAbove(path: string): readonly string[] {
  const parent = posix.dirname(path);
  return parent === path ? [] : [...directoriesAbove(parent), parent];
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(3, '0');
}
