import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileError } from '../../../../src/regular-file.ts';
import { readXinetdSections } from '../../../../src/server/import/xinetd-files.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';

const section = (name: string): string => `service ${name}\n{\n}\n`;

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new FileError(error);
  }
}

async function readNothing(): Promise<string> {
  return '';
}

/** The names of the services, in order. */
async function namesIn(text: string, read = readText): Promise<readonly string[]> {
  const { sections } = await readXinetdSections(text, 'x', read);
  return sections.map((each) => (each.kind === 'service' ? each.name : each.kind));
}

function directoryOf(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

describe('include', () => {
  test('reads a file where it stands', async () => {
    const directory = directoryOf({ b: section('b') });
    expect(await namesIn(`${section('a')}include ${directory}/b\n${section('c')}`)).toEqual(['a', 'b', 'c']);
  });

  test('may be nested, up to a depth that ends loops', async () => {
    const directory = directoryOf({});
    writeFileSync(join(directory, 'b'), `${section('b')}include ${directory}/c\n`);
    writeFileSync(join(directory, 'c'), section('c'));
    expect(await namesIn(`include ${directory}/b\n`)).toEqual(['b', 'c']);
    writeFileSync(join(directory, 'c'), `include ${directory}/c\n`);
    await expect(namesIn(`include ${directory}/c\n`)).rejects.toThrow(
      `${directory}/c:1: ${directory}/c would be the 11th file inside another`,
    );
  });

  test('of a file that cannot be read is an error, since it may hold restrictions', async () => {
    await expect(namesIn('\ninclude /nonexistent/file\n')).rejects.toThrow(
      expect.objectContaining({ code: 'IMPORT_INVALID', message: 'x:2: cannot read /nonexistent/file: no such file' }),
    );
  });

  test('of more than a thousand files is an error', async () => {
    await expect(namesIn('include /a\n'.repeat(1000), readNothing)).rejects.toThrow(
      'x:1000: /a would be the 1001th file',
    );
    await expect(namesIn('include /a\n'.repeat(999), readNothing)).resolves.toEqual([]);
  });
});

describe('includedir', () => {
  test('reads the files of a directory by name, as bytes, without those with a dot or a tilde at the end', async () => {
    const names = ['b', 'B', 'a-1', 'a', '\u{1f600}', '\uff5e', '.hidden', 'x.rpmsave', 'y~', '~z'];
    const directory = directoryOf(Object.fromEntries(names.map((name) => [name, section(name)])));
    expect(await namesIn(`includedir ${directory}\n`)).toEqual(['B', 'a', 'a-1', 'b', '~z', '\uff5e', '\u{1f600}']);
  });

  test('follows links, and notes what is not a file', async () => {
    const directory = directoryOf({ a: section('a') });
    symlinkSync(join(directory, 'a'), join(directory, 'link'));
    mkdirSync(join(directory, 'directory'));
    const { sections, notes } = await readXinetdSections(`includedir ${directory}\n`, 'x', readText);
    expect(sections).toMatchObject([{ name: 'a' }, { name: 'a' }]);
    expect(notes).toEqual([{ where: 'x:1', message: `${directory}/directory is not a regular file` }]);
  });

  test('of a directory that cannot be read is an error', async () => {
    await expect(namesIn('includedir /nonexistent\n')).rejects.toThrow('x:1: cannot read /nonexistent: no such file');
    await expect(namesIn(`includedir ${temporaryDirectory()}\n`.repeat(1000))).rejects.toThrow(
      /^x:1000: \S+ would be the 1001th file or directory$/,
    );
    const directory = directoryOf({ a: '' });
    await expect(namesIn(`includedir ${directory}/a\n`)).rejects.toThrow(`x:1: cannot read ${directory}/a: `);
  });
});
