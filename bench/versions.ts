import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { NodeProgram } from './nodes.ts';
import type { Programs } from './programs.ts';

/** Names and versions of all that is measured or that builds it. */
export function listVersions({ go, xinetd }: Programs, nodes: readonly NodeProgram[]): readonly string[] {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  const commit = firstLine('git', 'rev-parse', '--short', 'HEAD');
  return [
    `smallservd ${version}${commit === undefined ? '' : ` (${commit})`}`,
    ...nodes.map((node) => `Node ${node.version.replace('v', '')}`),
    firstLine('cc', '--version'),
    go && firstLine('go', 'version')?.replace(/^go version go(\S+).*/, 'Go $1'),
    xinetd && xinetdVersion(xinetd),
  ].filter((each) => each !== undefined);
}

/** It prints its version to standard error. */
function xinetdVersion(path: string): string {
  const text = firstLine('sh', '-c', '"$1" -version 2>&1', 'sh', path) ?? '';
  return `xinetd ${/\d+(?:\.\d+)+/.exec(text)?.[0] ?? ''}`.trim();
}

/** Undefined if the program fails. */
function firstLine(command: string, ...args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).split('\n')[0];
  } catch {
    return undefined;
  }
}
