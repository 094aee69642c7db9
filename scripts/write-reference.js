// Writes docs/CONFIG.md from the schema. Run `npm run build` first: Node 20 does not read TypeScript.
import { writeFileSync } from 'node:fs';
import { configReference } from '../dist/config/reference.js';

writeFileSync(new URL('../docs/CONFIG.md', import.meta.url), configReference());
