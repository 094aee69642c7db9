/**
 * Returns what runs of node_modules, by the lock file: paths and their entries. Optional packages are included, for
 * whatever system and processor they are.
 */
export function runtimePackages(lock) {
  return Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev && !isOfTypeScript(path));
}

/** An optional peer of valibot, which it needs for its types alone. */
function isOfTypeScript(path) {
  return /^node_modules\/(?:@typescript\/|typescript$)/.test(path);
}
