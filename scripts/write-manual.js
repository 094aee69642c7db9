// Writes the parts of the pages in man that are made of the code. Run `npm run build` first: Node 20 does not read
// TypeScript.
import { readFileSync, writeFileSync } from 'node:fs';
import { manualParts, withParts } from '../dist/manual/pages.js';

for (const [page, parts] of Object.entries(manualParts)) {
  const path = new URL(`../man/${page}`, import.meta.url);
  writeFileSync(path, withParts(readFileSync(path, 'utf8'), parts));
}
