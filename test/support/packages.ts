import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Puts the packages that the daemon needs at run time, by the lock file, where `npm install` would put them in the
 * directory of the package.
 */
export function copyPackages(directory: string): void {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: true }>>;
  };
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    // Of the optional ones those for this machine are there.
    if (path === '' || dev || isOfTypeScript(path) || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    cpSync(join(root, path), join(directory, path), { recursive: true });
  }
}

/** An optional peer of valibot, which it needs for its types alone. */
function isOfTypeScript(path: string): boolean {
  return /^node_modules\/(?:@typescript\/|typescript$)/.test(path);
}
