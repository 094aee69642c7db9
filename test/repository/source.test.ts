import { describe, expect, test } from 'vitest';
import { errorCodes } from '../../src/errors.ts';
import { filesIn, read, sources } from './files.ts';

/** TypeScript of ours. The patterns below are written so that they do not find themselves. */
const programs = ['src', 'test', 'bench'].flatMap(filesIn).filter((path) => path.endsWith('.ts'));

/** Without comments and without the content of strings, which may talk of anything. */
function codeOf(path: string): string {
  return read(path)
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$|\s\/\/ .*$/gm, '')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
}

function filesWith(pattern: RegExp, paths: readonly string[], text: (path: string) => string): readonly string[] {
  return paths.filter((path) => pattern.test(text(path)));
}

describe('the source', () => {
  test('does not bypass the type checker', () => {
    // An annotation has no space before its colon, as a conditional has.
    expect(filesWith(/(?:[<|&]|\bas\b|[\w)\]?]:) *any\b/, programs, codeOf)).toEqual([]);
    expect(filesWith(/@ts-(?:ignore|nocheck|expect-error)\b/, programs, read).filter(notThis)).toEqual([]);
  });

  test('has no syntax that type stripping rejects', () => {
    expect(filesWith(/^(?:export )?(?:declare )?(?:const )?enum \w/m, programs, codeOf)).toEqual([]);
    expect(filesWith(/^(?:export )?(?:declare )?namespace \w/m, programs, codeOf)).toEqual([]);
  });

  test('has no default exports', () => {
    expect(filesWith(/^export default\b|\bas default\b/m, sources, codeOf)).toEqual([]);
  });

  test('has no unfinished-work markers and no skipped or focused tests', () => {
    const marks = /\b(?:TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b/;
    expect(filesWith(marks, programs, read)).toEqual([]);
    expect(filesWith(/\b(?:test|it|describe)\.(?:skip|only|todo|fails)\b/, programs, codeOf)).toEqual([]);
  });

  test('has no comment wider than 120 columns', () => {
    const commented = ['src', 'test', 'bench', 'scripts'].flatMap(filesIn).filter((path) => /\.[jt]s$/.test(path));
    expect(commented.length).toBeGreaterThan(300);
    // The formatter keeps code within them, but leaves comments alone.
    expect(filesWith(/^(?=.{121}) *(?:\/\/|\/\*|\*)/m, commented, read)).toEqual([]);
  });

  test('reads no pipe of a child that runs foreign code without a pace for urgent bytes and descriptors', () => {
    // Those of the others run only our own code, with nothing from outside.
    const own = new Set(['src/server/transport/inherited.ts', 'src/server/closing-process.ts']);
    const readers = filesWith(/\bspawn(?:Child)?\([^;]*\bstdio: \[[^\]]*'pipe'/s, sources, read);
    expect(readers.filter((path) => !own.has(path)).length).toBeGreaterThan(2);
    expect(readers.filter((path) => !own.has(path) && !/\btakeOnlyBytesOf\(/.test(codeOf(path)))).toEqual([]);
  });

  test('does not print to the console', () => {
    expect(filesWith(/\bconsole\.\w+\(/, sources, codeOf)).toEqual([]);
  });
});

describe('error codes', () => {
  const codes = Object.keys(errorCodes);
  const everything = sources.map(read).join('\n');
  /** The first argument of each `new SmallservdError`, and what subclasses hand to it. */
  const raised = [...everything.matchAll(/\b(?:new SmallservdError|super)\(\s*([^,()]+),/g)].flatMap(([, first = '']) =>
    [...first.matchAll(/'([A-Z_]+)'/g)].map(([, code = '']) => code),
  );

  test('every listed code is raised', () => {
    expect(codes.filter((code) => !raised.includes(code))).toEqual([]);
  });

  test('every raised code is listed', () => {
    expect(raised.length).toBeGreaterThan(10);
    expect(raised.filter((code) => !codes.includes(code))).toEqual([]);
  });
});

test('no file contains a path of the development machine', () => {
  const foreign = new RegExp(`(?<![\\w.:}/-])/(?:${['work', 'root'].join('|')})(?![\\w-])`);
  const text = /\.(?:ts|js|c|md|json|ya?ml|service|socket|txt|sh)$|^[^.]*$|\/run$/;
  const paths = filesIn('.').filter((path) => text.test(path));
  // What systemd's ProtectHome hides has to be named.
  expect(filesWith(foreign, paths, (path) => read(path).replaceAll(/^.*ProtectHome.*$/gm, ''))).toEqual([]);
});

/** This file names what it looks for. */
function notThis(path: string): boolean {
  return path !== 'test/repository/source.test.ts';
}
