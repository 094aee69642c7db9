import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeSystemError } from '../../system-error-text.ts';
import { SmallservdError } from '../../errors.ts';
import { whyOutOfReach } from './service-user-access.ts';
import {
  enablingLinks,
  type Installation,
  installations,
  isPlainPath,
  type ProgramPlaces,
  type ServiceFile,
  serviceFiles,
  shippedPlaces,
  type Verdict,
  verdictOnInstall,
  verdictOnRemoval,
} from './service-files.ts';

export interface InstallOptions {
  readonly sandboxed?: true;
  readonly dryRun?: true;
  readonly remove?: true;
  /** For packagers: write files under this directory instead of `/`, with the paths of the shipped units. */
  readonly root?: string;
}

/** A file of the installation, and what to do with it. */
interface Decision {
  readonly file: ServiceFile;
  readonly verdict: Verdict;
}

/** Directory of this package: the same relative path from `src` and from `dist`. */
const packageDirectory = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/**
 * `smallservd install-service`: writes or removes the units and the config of a systemd service. Returns the text to
 * print. Throws `INSTALL_NOT_PERMITTED` without root, and `INSTALL_REFUSED` if the service could not work or something
 * is in the way.
 */
export function installService(options: InstallOptions): string {
  const { root = '', dryRun, remove } = options;
  const installation = installations[options.sandboxed ? 'sandboxed' : 'plain'];
  const places = options.root === undefined ? { node: process.execPath, package: packageDirectory } : shippedPlaces;
  if (!dryRun && options.root === undefined && process.geteuid?.() !== 0)
    throw new SmallservdError('INSTALL_NOT_PERMITTED', 'install-service needs root; --dry-run shows what it would do');
  const files = serviceFiles(installation, places, (path) => readFileSync(join(packageDirectory, path), 'utf8'));
  if (!remove && options.root === undefined) refuseOutOfReach(places);
  const verdictOn = remove ? verdictOnRemoval : verdictOnInstall;
  const decisions = withReasons(() =>
    files.map((file) => ({ file, verdict: verdictOn(file, readIfThere(root + file.path)) })),
  );
  refuseForeign(decisions);
  if (remove) refuseEnabled(files, installation, root);
  if (!dryRun) withReasons(() => (remove ? removeFiles : writeFiles)(decisions, root));
  return describe(decisions, dryRun, root) + (options.root === undefined ? nextSteps(remove, installation) : '');
}

const nodeAdvice = 'Install Node.js for all users, such as the Debian package nodejs, and run install-service with it';
const packageAdvice =
  'Install it for all users. As root, with umask 022: run npm pack, then npm install --global FILE with the file that it created, then smallservd install-service';

/** Throws if the service user could not read Node or a file of the package. */
function refuseOutOfReach(places: ProgramPlaces): void {
  for (const path of [places.node, places.package])
    if (!isPlainPath(path))
      throw new SmallservdError(
        'INSTALL_REFUSED',
        `${path} contains characters that must be quoted in a unit file: install it under another path`,
      );
  refuse('Node', [places.node], nodeAdvice);
  const directories = ['dist', 'config', 'node_modules'].map((name) => join(places.package, name)).filter(existsSync);
  const files = directories.flatMap((directory) =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((file) => join(directory, file)),
  );
  refuse('the package', [join(places.package, 'package.json'), ...directories, ...files], packageAdvice);
}

function refuse(what: string, paths: readonly string[], advice: string): void {
  for (const path of paths) {
    const why = whyOutOfReach(path, modeOf);
    if (why === undefined) continue;
    throw new SmallservdError('INSTALL_REFUSED', `${what}, ${path}, ${why}. ${advice}`);
  }
}

/** A dangling link does not restrict access. */
function modeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mode ?? 0o777;
}

function refuseForeign(decisions: readonly Decision[]): void {
  const foreign = decisions.find(({ verdict }) => verdict === 'foreign');
  if (foreign !== undefined)
    throw new SmallservdError(
      'INSTALL_REFUSED',
      `${foreign.file.path} exists and was not installed by smallservd: move it out of the way first`,
    );
}

/** Otherwise systemd would refer to the removed units at each start. */
function refuseEnabled(files: readonly ServiceFile[], { service, units }: Installation, root: string): void {
  const links = enablingLinks(files.filter(({ kind }) => kind === 'unit'));
  if (!links.some((link) => lstatSync(root + link, { throwIfNoEntry: false }) !== undefined)) return;
  const sockets = units.length > 1 ? "'smallservd-*.socket' " : '';
  const commands = [`systemctl disable ${service}`, `systemctl stop ${sockets}${service}`];
  const lines = ['the service is still enabled; first run:', ...commands.map((each) => `  ${each}`)];
  throw new SmallservdError('INSTALL_REFUSED', lines.join('\n'));
}

/** Follows no link that came after the check. */
const writing = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

function writeFiles(decisions: readonly Decision[], root: string): void {
  // The service must be able to read the files, whatever the administrator's umask.
  process.umask(0o022);
  for (const { file, verdict } of decisions) {
    if (verdict !== 'write') continue;
    mkdirSync(dirname(root + file.path), { recursive: true });
    const fd = openSync(root + file.path, writing);
    writeFileSync(fd, file.text);
    closeSync(fd);
  }
}

function removeFiles(decisions: readonly Decision[], root: string): void {
  for (const { file, verdict } of decisions) if (verdict === 'remove') rmSync(root + file.path);
  const directories = decisions
    .filter(({ file }) => file.kind === 'config')
    .map(({ file }) => root + dirname(file.path));
  for (const directory of directories)
    if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}

/** Rethrows system errors as ours. */
function withReasons<Value>(action: () => Value): Value {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof SmallservdError) throw cause;
    const { code, path } = cause as NodeJS.ErrnoException;
    const isPermission = code === 'EACCES' || code === 'EPERM';
    const reason = describeSystemError(cause, 'file');
    const message = path === undefined ? reason : `${path}: ${reason}`;
    throw new SmallservdError(isPermission ? 'INSTALL_NOT_PERMITTED' : 'INSTALL_REFUSED', message, { cause });
  }
}

function readIfThere(path: string): string | undefined {
  // It may lead to any file of the system.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new SmallservdError('INSTALL_REFUSED', `${path} is a symbolic link: move it out of the way first`);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

const done: Readonly<Record<Verdict, readonly [done: string, planned: string]>> = {
  write: ['written', 'would write'],
  remove: ['removed', 'would remove'],
  unchanged: ['unchanged', 'unchanged'],
  missing: ['not there', 'not there'],
  keep: ['kept', 'would keep'],
  foreign: ['kept', 'would keep'],
};

/** Describes each file in one line. A dry run adds the text of the files it would write. */
function describe(decisions: readonly Decision[], dryRun: true | undefined, root: string): string {
  const lines = decisions.map(({ file, verdict }) => {
    const word = done[verdict][dryRun ? 1 : 0].padEnd(12);
    const reason = verdict === 'keep' ? ': differs from the shipped config' : '';
    const text = dryRun && verdict === 'write' ? `\n${file.text}\n` : '';
    return `${word} ${root}${file.path}${reason}\n${text}`;
  });
  return lines.join('');
}

function nextSteps(remove: true | undefined, { service, config }: Installation): string {
  const first = '\nNext:\n  systemctl daemon-reload\n';
  if (remove) return first;
  return `${first}\
  systemctl enable --now ${service}    or, if already running: systemctl restart ${service}
  journalctl --unit ${service}         its log
The config is ${config}; after a change: systemctl reload ${service}
`;
}
