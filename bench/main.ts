// Measures smallservd next to other servers and writes docs/BENCHMARKS.md: npm run bench [-- --help].
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Arguments, readArguments, usage } from './arguments.ts';
import { writePlots } from './plot.ts';
import { formatReport, formatVerdicts } from './report.ts';
import type { Results } from './results.ts';
import { measureAll } from './run.ts';

const resultsPath = join('reports', 'bench.json');

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

try {
  const args = readArguments(process.argv.slice(2));
  if (args === undefined) process.stdout.write(usage);
  else await main(args);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(args: Arguments): Promise<void> {
  const results = args.from === undefined ? await measure(args) : readResults(args.from);
  mkdirSync(args.output, { recursive: true });
  const plots = writePlots(results, args.output);
  const path = join(args.output, 'BENCHMARKS.md');
  writeFileSync(path, formatReport(results, plots));
  process.stdout.write(`\n${formatVerdicts(results)}\nwrote ${path}\n`);
  // Something that was asked for by name went wrong, or was not measured.
  if (args.only.length > 0 && results.remarks.length > 0) process.exitCode = 1;
}

/** Keeps the results, so that the report can be written again. */
async function measure(args: Arguments): Promise<Results> {
  const directory = mkdtempSync(join(tmpdir(), 'smallservd-bench-'));
  // Also when a signal ends it.
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const results = await measureAll(args, directory, (line) => process.stdout.write(`${line}\n`));
  mkdirSync(dirname(resultsPath), { recursive: true });
  writeFileSync(resultsPath, `${JSON.stringify(results, undefined, 1)}\n`);
  return results;
}

function readResults(path: string): Results {
  const results = JSON.parse(readFileSync(path, 'utf8')) as Partial<Results>;
  if (Object.values(results.pages ?? {}).some((each) => !Array.isArray(each.pages)))
    throw new Error(`${path} is of an earlier version: measure again`);
  return { pages: {}, ...results } as Results;
}
