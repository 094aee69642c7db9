import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { root } from '../support/daemon-process.ts';
import { replaceSection } from './report.ts';
import { soak } from './soak.ts';
import { judgeSoak, markdownOf, textOf } from './soak-judgement.ts';

const report = join(root, 'docs/SAFETY-REPORT.md');

/** One leaked field of eight bytes would be eight times as much. */
const mostBytesPerRequest = 1;

test('leaks nothing over a million requests of each kind', async () => {
  const document = readFileSync(report, 'utf8');
  const soaked = await soak(1_000_000);
  console.log(textOf(soaked));
  const date = new Date().toISOString().slice(0, 10);
  const section = `${date}, Node ${process.version}, one process.\n\n${markdownOf(soaked)}`;
  writeFileSync(report, replaceSection(document, 'soak', section));
  judgeSoak(soaked, mostBytesPerRequest);
});
