import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's own directory. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** What is not the repository's: installed, built or measured. */
const foreign = new Set(['.git', 'node_modules', 'dist', 'coverage', 'reports']);

/** Paths of all files below a directory, relative to the repository. */
export function filesIn(directory: string): readonly string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return foreign.has(entry.name) ? [] : filesIn(path);
    return entry.isFile() ? [path] : [];
  });
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

export const sources = filesIn('src').filter((path) => path.endsWith('.ts'));

/** The documents that people wrote; docs/CONFIG.md is generated. */
export const documents = [
  ...filesIn('.').filter((path) => /^[A-Z]+\.md$/.test(path)),
  ...[...filesIn('docs'), ...filesIn('examples')].filter((path) => path.endsWith('.md') && path !== 'docs/CONFIG.md'),
];

/** What a source file imports: as files of the repository, relative to it, or as names of packages. */
export function importsOf(path: string): readonly string[] {
  const statements = /^(?:import|export)\b[^;]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...read(path).matchAll(statements)].map(([, from, bare, later]) => {
    const specifier = from ?? bare ?? later ?? '';
    return specifier.startsWith('.') ? relative(root, resolve(root, dirname(path), specifier)) : specifier;
  });
}

export interface Block {
  readonly language: string;
  readonly text: string;
  /** The line before the block, where it is an HTML comment: what it says. */
  readonly mark: string | undefined;
}

/** The fenced blocks of a document. */
export function blocksOf(document: string): readonly Block[] {
  const fences = /(?:^<!-- (.+) -->\n)?^( *)```(\w+)\n([\s\S]*?)^ *```$/gm;
  return [...document.matchAll(fences)].map(([, mark, indent = '', language = '', text = '']) => ({
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    mark,
  }));
}

/** A document without its fenced blocks. */
export function proseOf(document: string): string {
  return document.replaceAll(/^ *```\w*\n[\s\S]*?^ *```$/gm, '');
}

/** The first table after a heading: its rows, each cell without backquotes. */
export function tableAfter(document: string, heading: string): readonly (readonly string[])[] {
  const start = document.indexOf(heading);
  if (start < 0) throw new Error(`there is no ${heading}`);
  const [table = ''] = /(?:^\|.*\|\n)+/m.exec(document.slice(start)) ?? [];
  const rows = table.trimEnd().split('\n').slice(2);
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}
