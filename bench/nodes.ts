import { execFileSync } from 'node:child_process';

/** A Node to run servers on. */
export interface NodeProgram {
  readonly path: string;
  readonly version: string;
  readonly major: number;
}

/** The majors that the report compares. */
const wantedMajors = [26, 20];

/**
 * Finds Node 26 and Node 20: the running one, those given by path, and what npm has in its cache. Nothing is
 * downloaded. `missing` says how to get the others. The newest comes first.
 */
export function findNodes(paths: readonly string[]): {
  readonly nodes: readonly NodeProgram[];
  readonly missing: readonly string[];
} {
  const found = [process.execPath, ...paths].map(nodeAt);
  const missing: string[] = [];
  for (const major of wantedMajors) {
    if (found.some((node) => node.major === major)) continue;
    const cached = cachedNode(major);
    if (cached === undefined) {
      missing.push(`no Node ${major}: npm exec --yes --package=node@${major} -c 'node --version'`);
    } else {
      found.push(cached);
    }
  }
  const nodes = found.filter(({ major }, index) => found.findIndex((each) => each.major === major) === index);
  return { nodes: nodes.toSorted((a, b) => b.major - a.major), missing };
}

function nodeAt(path: string): NodeProgram {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim();
  return { path, version, major: Number(/^v(\d+)/.exec(version)?.[1]) };
}

/** The package `node` brings the program; npm keeps what `npm exec` has installed once. */
function cachedNode(major: number): NodeProgram | undefined {
  try {
    const print = 'process.stdout.write(process.execPath)';
    const path = execFileSync(
      'npm',
      ['exec', '--offline', '--yes', `--package=node@${major}`, '--', 'node', '-e', print],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const node = nodeAt(path);
    return node.major === major ? node : undefined;
  } catch {
    return undefined;
  }
}
