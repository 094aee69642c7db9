// Writes the files in completion from the command lines. Run `npm run build` first: Node 20 does not read TypeScript.
import { writeFileSync } from 'node:fs';
import { bashCompletion } from '../dist/completion/bash.js';
import { zshCompletion } from '../dist/completion/zsh.js';
import { clientCommandLine, daemonCommandLine } from '../dist/manual/pages.js';

const programs = [daemonCommandLine, clientCommandLine];
writeFileSync(new URL('../completion/smallservd.bash', import.meta.url), bashCompletion(programs));
writeFileSync(new URL('../completion/_smallservd', import.meta.url), zshCompletion(programs));
