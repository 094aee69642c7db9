import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bashCompletion } from '../../scripts/generate/completion/bash.ts';
import { fishCompletion } from '../../scripts/generate/completion/fish.ts';
import { zshCompletion } from '../../scripts/generate/completion/zsh.ts';
import { clientCommandLine, daemonCommandLine } from '../../scripts/generate/manual/pages.ts';

const directory = fileURLToPath(new URL('../../completion', import.meta.url));

/** Writes `completion` once before the tests, as `npm run docs` does. */
export default function completion(): void {
  const programs = [daemonCommandLine, clientCommandLine];
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'smallservd.bash'), bashCompletion(programs));
  writeFileSync(join(directory, '_smallservd'), zshCompletion(programs));
  for (const program of programs) writeFileSync(join(directory, `${program.name}.fish`), fishCompletion(program));
}
