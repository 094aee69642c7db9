import { parseArgs } from 'node:util';
import { works } from './work.ts';

/** What `npm run bench -- …` was asked for. */
export interface Arguments {
  readonly quick: boolean;
  /** Node programs to measure in addition to the running one, by path. */
  readonly nodes: readonly string[];
  /** Directory for the report and its plots. */
  readonly output: string;
  /** Works to measure, by name; empty for all. */
  readonly only: readonly string[];
  /** A file of results to write the report from, without a measurement. */
  readonly from: string | undefined;
}

const names: readonly string[] = [...works.map(({ name }) => name), 'memory', 'start', 'reload', 'pages'];

export const usage = `Usage: npm run bench -- [options]

  --quick         a smaller selection, within a minute
  --node PATH     also measure this Node; may be repeated
  --only NAME     measure only this work, such as tcp-echo-64 or memory; may be repeated
  --output DIR    directory for BENCHMARKS.md and its plots (default: docs, with --only reports)
  --from FILE     measure nothing, write the report from these results (reports/bench.json)
  --help          print this help
`;

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @throws Error if there is an unknown option or work, or an argument.
 */
export function readArguments(args: readonly string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      node: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
      output: { type: 'string' },
      from: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { quick, node: nodes, only, from } = values;
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`bench: no work named ${unknown}: expected ${names.join(', ')}`);
  const { output = only.length > 0 ? 'reports' : 'docs' } = values;
  return { quick, nodes, output, only, from };
}
