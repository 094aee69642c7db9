import { realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { systemClock } from '../../clock/clock.ts';
import { answerInTime, assertRegularFile, FileError, maxFileBytes, readRegularFile } from '../../regular-file.ts';

/**
 * Returns the `file:` URL for a `module` key: a path (absolute, or relative to `directory`), a `file:` URL, or a
 * package installed for `directory`, whose `exports` are read as `import` does. Throws an Error with a plain message
 * if there is none.
 *
 * Node itself resolves only for the importing file: `import.meta.resolve` with a parent is behind a flag, and
 * `require.resolve` does not find packages that export only for `import`.
 */
export async function resolveModule(specifier: string, directory: string): Promise<string> {
  const file = pathOf(specifier, directory) ?? (await resolvePackage(specifier, directory));
  try {
    await assertRegularFile(file, maxFileBytes);
  } catch (error) {
    const message = isMissing(error) ? `there is no file ${file}` : about(file, error);
    throw new Error(message, { cause: error });
  }
  await assertManifest(dirname(await answerInTime(file, systemClock, async () => realpath(file))));
  return pathToFileURL(file).href;
}

/**
 * Node reads the nearest package.json above a module to determine the module system, and blocks if that is a FIFO.
 * https://nodejs.org/api/packages.html#determining-module-system
 */
async function assertManifest(directory: string): Promise<void> {
  const file = join(directory, 'package.json');
  try {
    await assertRegularFile(file, maxFileBytes);
  } catch (error) {
    if (!isMissing(error)) throw new Error(about(file, error), { cause: error });
    if (dirname(directory) !== directory) await assertManifest(dirname(directory));
  }
}

function pathOf(specifier: string, directory: string): string | undefined {
  if (specifier.startsWith('file:')) return fileURLToPath(specifier);
  return /^\.{0,2}\//.test(specifier) ? resolve(directory, specifier) : undefined;
}

async function resolvePackage(specifier: string, directory: string): Promise<string> {
  const match = /^((?:@[\w.-]+\/)?[\w-][\w.-]*)(\/.*)?$/.exec(specifier);
  if (match?.[1] === undefined) throw new Error('expected a path such as ./mine.js, or the name of a package');
  const name = match[1];
  // The manifest of the package that contains the config, if any.
  await assertManifest(directory);
  const require = createRequire(join(directory, 'config'));
  for (const modules of require.resolve.paths(name) ?? []) {
    // Not Node's old global directories, such as $HOME/.node_modules: `import` does not search them.
    if (basename(modules) !== 'node_modules') continue;
    const root = join(modules, name);
    const exported = await readExports(join(root, 'package.json'));
    if (exported === undefined) continue;
    // A package without `exports` has a main file or plain files, which require resolves.
    if (exported === null) {
      await assertManifest(join(modules, specifier));
      return require.resolve(specifier);
    }
    const target = pickExport(exported, `.${match[2] ?? ''}`);
    if (target === undefined) throw new Error(`the package ${name} does not export ${specifier}`);
    return join(root, target);
  }
  throw new Error(`there is no package ${name} in the node_modules of ${directory} or of a directory above it`);
}

/** Undefined: the package does not exist. Null: it has no `exports`. */
async function readExports(file: string): Promise<unknown> {
  let text: string;
  try {
    text = (await readRegularFile(file, maxFileBytes)).toString();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new Error(about(file, error), { cause: error });
  }
  const manifest: unknown = JSON.parse(text);
  return isObject(manifest) ? (manifest['exports'] ?? null) : null;
}

/** https://nodejs.org/api/packages.html#package-entry-points, without patterns. */
function pickExport(exported: unknown, subpath: string): string | undefined {
  const hasSubpaths = isObject(exported) && Object.keys(exported).some((key) => key.startsWith('.'));
  if (hasSubpaths) return pickCondition(exported[subpath]);
  return subpath === '.' ? pickCondition(exported) : undefined;
}

function pickCondition(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  if (Array.isArray(target)) return target.map(pickCondition).find((each) => each !== undefined);
  if (!isObject(target)) return undefined;
  for (const [condition, value] of Object.entries(target)) {
    const picked = ['import', 'node', 'default'].includes(condition) ? pickCondition(value) : undefined;
    if (picked !== undefined) return picked;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMissing(error: unknown): boolean {
  return error instanceof FileError && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

function about(file: string, error: unknown): string {
  return `${file}: ${error instanceof Error ? error.message : String(error)}`;
}
