import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds `dist` once before the tests, as `npm run build` does: what they start as a process is what stands in `src`.
 */
export default function build(): void {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  copyFileSync(`${root}config/smallservd.schema.json`, `${root}dist/smallservd.schema.json`);
}
