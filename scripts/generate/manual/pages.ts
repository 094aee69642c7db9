import { released } from '../../../src/clock/release.ts';
import { commandLineOf } from '../command-line.ts';
import { type DaemonActions, daemonProgram } from '../../../src/server/command/program.ts';
import { loadTools } from '../../../src/client/tool/index.ts';
import { clientProgram } from '../../../src/client/tool/program.ts';
import type { Terminal } from '../../../src/client/tool/terminal.ts';
import { version } from '../../../src/version.ts';
import { commandList, optionList, synopsis } from './commands.ts';
import { commonKeys, daemonKeys, ownKeys, builtInServices } from './config-keys.ts';

/** The command lines of the two programs, with no actions attached, for their description only. */
export const daemonCommandLine = commandLineOf(daemonProgram({} as DaemonActions));
export const clientCommandLine = commandLineOf(clientProgram(await loadTools(), {} as Terminal, () => async () => {}));

/** The generated parts of each page in `man`, by the name in their markers. */
export const manualParts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'smallserv.1': {
    head: head('SMALLSERV', 1),
    options: optionList(clientCommandLine),
    tools: commandList(clientCommandLine),
  },
  'smallservd.yaml.5': {
    head: head('SMALLSERVD.YAML', 5),
    daemon: daemonKeys(),
    own: ownKeys(),
    common: commonKeys(),
    builtIn: builtInServices(),
  },
  'smallservd.8': {
    head: head('SMALLSERVD', 8),
    synopsis: synopsis(daemonCommandLine),
    options: optionList(daemonCommandLine),
    commands: commandList(daemonCommandLine),
  },
};

function head(title: string, section: number): string {
  const date = released.toLocaleDateString('en-US', { dateStyle: 'long', timeZone: 'UTC' });
  return `.Dd ${date}\n.Dt ${title} ${section}\n.Os smallservd ${version}`;
}

/**
 * Returns the page with its parts replaced, each between the lines `.\" BEGIN NAME` and `.\" END NAME`. Throws a
 * RangeError if the markers in the page do not match the parts.
 */
export function withParts(page: string, parts: Readonly<Record<string, string>>): string {
  const marks = new Set([...page.matchAll(/^\.\\" BEGIN (\w+)$/gm)].map(([, name]) => name));
  const names = Object.keys(parts);
  if (marks.size !== names.length || !names.every((name) => marks.has(name)))
    throw new RangeError(`the page has marks for ${[...marks].join()}, and not for ${names.join()}`);
  return page.replaceAll(
    /^(\.\\" BEGIN (\w+)\n)[\s\S]*?(?=^\.\\" END \2$)/gm,
    (_match, mark: string, name: string) => `${mark}${parts[name]}\n`,
  );
}
