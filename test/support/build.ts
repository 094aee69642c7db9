import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds `dist` once before the tests: what they start as a process is what stands in `src`. Unlike `npm run build`, it
 * does not remove `dist` first, which another run may be using.
 */
export default function build(): void {
  for (const project of ['tsconfig.build.json', 'src/server/page'])
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], { cwd: root, stdio: 'inherit' });
  cpSync(`${root}src/server/page/static`, `${root}dist/server/page/static`, { recursive: true });
  copyFileSync(`${root}config/smallservd.schema.json`, `${root}dist/smallservd.schema.json`);
  for (const program of ['smallserv', 'smallservd']) chmodSync(`${root}dist/${program}.js`, 0o755);
}
