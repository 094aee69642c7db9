/**
 * Gathers the figures of the attack run; at its end the table is printed and, where no attack is missing,
 * docs/SAFETY-REPORT.md written.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, figuresVariable } from './figures.ts';
import { type Circumstances, isWhole, printReport, sectionOf, writeReport } from './report.ts';

const reportName = 'docs/SAFETY-REPORT.md';
const root = fileURLToPath(new URL('../../', import.meta.url));
let directory = '';

export function setup(): void {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-figures-'));
  // The processes that run the tests are started later, and inherit it.
  process.env[figuresVariable] = join(directory, 'figures');
}

export function teardown(): void {
  const figures = readFigures();
  rmSync(directory, { recursive: true, force: true });
  process.stdout.write(`\n${printReport(figures)}\n`);
  if (!isWhole(figures)) {
    process.stdout.write(`${reportName} stays as it is: some attacks were not run.\n`);
    return;
  }
  const path = join(root, reportName);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  writeFileSync(path, writeReport(figures, circumstances(), sectionOf(before, 'soak') ?? ''));
  process.stdout.write(`${reportName} is written.\n`);
}

function readFigures(): readonly Figure[] {
  const path = join(directory, 'figures');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Figure);
}

function circumstances(): Circumstances {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const [cpu] = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  return {
    date: new Date().toISOString().slice(0, 10),
    versions: [
      ['smallservd', version],
      ['Node', process.version],
      ['Linux', release()],
      ...versionOf('xinetd', '-version'),
      ...versionOf('inetutils-inetd', '--version'),
    ],
    machine: `${cpu?.model ?? 'unknown processor'}, ${cpus().length} CPUs, ${gibibytes} GiB of memory`,
  };
}

/** Empty where the program is missing, or does not tell. */
function versionOf(program: string, option: string): readonly (readonly [string, string])[] {
  const { stdout, stderr } = spawnSync(program, [option], { encoding: 'utf8' });
  const version = /\d+(?:\.\d+)+/.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[0];
  return version === undefined ? [] : [[program, version]];
}
