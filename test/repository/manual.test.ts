import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bashCompletion } from '../../scripts/generate/completion/bash.ts';
import { zshCompletion } from '../../scripts/generate/completion/zsh.ts';
import { loadConfig } from '../../src/server/config/load.ts';
import { exitCodes } from '../../src/exit-codes.ts';
import { clientCommandLine, daemonCommandLine, manualParts, withParts } from '../../scripts/generate/manual/pages.ts';
import { services } from '../../src/services/index.ts';
import { tools } from '../../src/client/tool/index.ts';
import { filesIn, read, root, sources } from './files.ts';

const pages = Object.keys(manualParts);
const programs = [daemonCommandLine, clientCommandLine];

/** The items of the list in a section, by what stands after `.It`. */
function itemsOf(page: string, section: string): readonly string[] {
  const [, text = ''] = new RegExp(`^\\.Sh ${section}\\n([\\s\\S]*?)(?=^\\.Sh )`, 'm').exec(read(`man/${page}`)) ?? [];
  return [...text.matchAll(/^\.It (.+)$/gm)].map(([, item = '']) => item);
}

describe('the manual', () => {
  test('has the pages that the package installs, and no other', () => {
    const { man } = JSON.parse(read('package.json')) as { man: readonly string[] };
    expect(man.toSorted()).toEqual(pages.map((page) => `./man/${page}`).toSorted());
    expect(filesIn('man').toSorted()).toEqual(pages.map((page) => `man/${page}`).toSorted());
  });

  test.each(pages)('%s is what the code says: npm run docs', (page) => {
    expect(withParts(read(`man/${page}`), manualParts[page] ?? {})).toBe(read(`man/${page}`));
  });

  test('refuses parts that a page has no marks for, and the other way round', () => {
    const page = '.\\" BEGIN one\n.\\" END one\n';
    expect(() => withParts(page, {})).toThrow(RangeError);
    expect(() => withParts(page, { one: '.Pp', two: '.Pp' })).toThrow(RangeError);
    expect(withParts(page, { one: '.Pp' })).toBe('.\\" BEGIN one\n.Pp\n.\\" END one\n');
  });

  test.each(['smallservd', 'smallserv'])('has the exit codes that the help of %s has', (program) => {
    const path = join(root, `dist/${program}.js`);
    const help = execFileSync(process.execPath, [path, '--help'], { encoding: 'utf8' });
    const [, codes = ''] = /^Exit codes: (.+)$/m.exec(help) ?? [];
    const page = pages.find((name) => /^\w+\.[18]$/.test(name) && name.startsWith(`${program}.`)) ?? '';
    const numbers = itemsOf(page, 'EXIT STATUS').map(Number);
    expect(numbers).toEqual([...codes.matchAll(/\d+/g)].map(Number));
  });

  test('has every exit code on one page or the other', () => {
    const items = ['smallservd.8', 'smallserv.1'].flatMap((page) => itemsOf(page, 'EXIT STATUS').map(Number));
    expect(new Set(items)).toEqual(new Set(Object.values(exitCodes)));
  });

  test('has every signal that is handled', () => {
    const handled = [...read('src/server/supervisor/signals.ts').matchAll(/\.on\('SIG(\w+)'/g)].map(
      ([, name = '']) => name,
    );
    const shown = itemsOf('smallservd.8', 'SIGNALS').flatMap((item) => item.replace('Dv ', '').split(' , '));
    expect(shown.toSorted()).toEqual(handled.toSorted());
  });

  test('names variables that the source reads', () => {
    const everything = sources.map(read).join('\n');
    const names = ['smallservd.8', 'smallserv.1'].flatMap((page) => itemsOf(page, 'ENVIRONMENT'));
    const variables = names
      .flatMap((item) => item.replace('Ev ', '').split(' , '))
      .filter((name) => !name.endsWith('*'));
    expect(variables).toEqual(expect.arrayContaining(['NO_COLOR', 'NOTIFY_SOCKET', 'LISTEN_FDS']));
    expect(variables.filter((name) => !everything.includes(`'${name}'`))).toEqual([]);
  });

  test('names the RFC of every service', () => {
    for (const { rfc } of services) {
      expect(read('man/smallservd.8')).toContain(`.%R RFC ${rfc}\n`);
      expect(read('man/smallserv.1')).toContain(`RFC ${rfc}\n`);
    }
  });

  test('shows configs that are right', async () => {
    const page = read('man/smallservd.yaml.5');
    const examples = [...page.matchAll(/^\.Bd -literal -offset indent\n([\s\S]*?)^\.Ed$/gm)].map(
      ([, text = '']) => text,
    );
    expect(examples.length).toBe(2);
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-manual-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    writeFileSync(join(directory, 'greet.js'), '');
    for (const text of examples) {
      const source = { name: 'manual', directory, text: text.replaceAll('\\-', '-'), env: {}, sets: [] };
      expect((await loadConfig(source, { importModules: false })).config.services).not.toEqual([]);
    }
  });
});

describe('the completion', () => {
  test('knows every tool, and of each every option', () => {
    expect(clientCommandLine.commands.map(({ name }) => name)).toEqual(tools.map(({ name }) => name));
    const flags = programs
      .flatMap(({ commands }) => commands)
      .flatMap(({ options }) => options.flatMap((each) => each.flags));
    expect(flags).toEqual(expect.arrayContaining(['--set', '--watch', '--sandboxed', '-4', '--json', '--verify']));
    const bash = bashCompletion(programs);
    const zsh = zshCompletion(programs);
    for (const flag of new Set(flags)) {
      expect(bash).toMatch(new RegExp(`[ '|]${flag}[ '|)]`));
      expect(zsh).toMatch(new RegExp(`[ {,*']${flag}[=+]?['},]`));
    }
  });
});
