import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { zshCompletion } from './completion/zsh.ts';
import { configReference } from './config-reference.ts';
import { configJsonSchema } from './config-json-schema.ts';
import { configTypes } from './config-types.ts';
import { clientCommandLine, daemonCommandLine, manualParts, withParts } from './manual/pages.ts';

// `npm run docs`: writes the files generated from the code, relative to the current directory, which must be the
// checkout.
writeFileSync('docs/CONFIG.md', configReference());
writeFileSync('src/server/config/config-input.ts', configTypes());
writeFileSync('config/smallservd.schema.json', `${JSON.stringify(configJsonSchema(), null, 2)}\n`);

for (const [page, parts] of Object.entries(manualParts)) {
  const path = join('man', page);
  writeFileSync(path, withParts(readFileSync(path, 'utf8'), parts));
}

const programs = [daemonCommandLine, clientCommandLine];
mkdirSync('completion', { recursive: true });
writeFileSync('completion/smallservd.bash', bashCompletion(programs));
writeFileSync('completion/_smallservd', zshCompletion(programs));
for (const program of programs) writeFileSync(`completion/${program.name}.fish`, fishCompletion(program));
