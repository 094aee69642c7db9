import { opendir } from 'node:fs/promises';
import { systemClock } from '../clock/clock.ts';
import { answerInTime, FileError, readRegularFile } from '../regular-file.ts';
import { ConfigError } from '../service.ts';

/** A plan is a page of text, not a document. Expanded tabs count, too, which take up to eight times as much. */
const maxPlanBytes = 64 * 1024;

/** All plans are in the memory of every worker. */
const maxPlans = 1000;
const maxTotalBytes = 4 * 2 ** 20;

const tabWidth = 8;

/** The lines of each plan by the name of its user, or of the one plan that answers every query. */
export type Plans =
  | { readonly ofUsers: ReadonlyMap<string, readonly string[]> }
  | { readonly ofEveryone: readonly string[] };

/**
 * Reads a file, or each file in a directory, whose name is that of a user. Names that begin with a dot are left out.
 * Throws `ConfigError` for anything else that is not a plan: a symbolic link, which could lead out of the directory, a
 * directory, a file that is too large, or text that is not printable ASCII.
 */
export async function readPlans(path: string): Promise<Plans> {
  const names = await listDirectory(path);
  if (names === undefined) return { ofEveryone: parsePlan(await readPlan(path, 'follow'), path) };
  if (names.length > maxPlans) throw unusable(path, `contains more than ${maxPlans} files`);
  const plans = new Map<string, readonly string[]>();
  let totalBytes = 0;
  for (const name of names.toSorted()) {
    const file = `${path}/${name}`;
    if (!isUserName(name)) throw unusable(file, 'is not named after a user: expected printable ASCII without / and @');
    const text = await readPlan(file, 'refuse');
    totalBytes += text.length;
    if (totalBytes > maxTotalBytes) throw unusable(path, `contains more than ${maxTotalBytes / 2 ** 20} MiB of plans`);
    plans.set(name, parsePlan(text, file));
  }
  return { ofUsers: plans };
}

/** Whether a client can ask for this name: no space, no slash, and no host. */
function isUserName(name: string): boolean {
  return /^[!-.0-?A-~]+$/.test(name);
}

/** Returns the lines of a plan without empty lines at the end. Throws `ConfigError` with file and line. */
function parsePlan(text: string, file: string): readonly string[] {
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    const code = /[^ -~]/.exec(line)?.[0].charCodeAt(0).toString(16).padStart(2, '0');
    if (code === undefined) continue;
    throw new ConfigError(`a plan may contain only printable ASCII, not the byte 0x${code}`, {
      option: 'plans',
      file,
      line: index + 1,
    });
  }
  return lines.slice(0, lines.findLastIndex((line) => line.trim() !== '') + 1);
}

function expandTabs(line: string): string {
  let expanded = '';
  for (const [index, part] of line.split('\t').entries())
    expanded += index === 0 ? part : ' '.repeat(tabWidth - (expanded.length % tabWidth)) + part;
  return expanded;
}

/** The names in a directory, at most one more than there may be plans. Undefined if it is not a directory. */
async function listDirectory(path: string): Promise<readonly string[] | undefined> {
  try {
    return await answerInTime(path, systemClock, async () => {
      const names: string[] = [];
      for await (const { name } of await opendir(path)) {
        if (!name.startsWith('.')) names.push(name);
        if (names.length > maxPlans) break;
      }
      return names;
    });
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (error.code === 'ENOTDIR') return undefined;
    throw unusable(path, `cannot be read: ${error.message}`);
  }
}

/** Returns latin1 text, so that a character is a byte, with tabs expanded and LF after each line but the last. */
async function readPlan(file: string, link: 'follow' | 'refuse'): Promise<string> {
  const text = (await readText(file, link))
    .split(/\r\n|\r|\n/)
    .map(expandTabs)
    .join('\n');
  if (text.length <= maxPlanBytes) return text;
  throw unusable(file, `is larger than ${maxPlanBytes / 1024} KiB after each tab is expanded to spaces`);
}

async function readText(file: string, link: 'follow' | 'refuse'): Promise<string> {
  try {
    return (await readRegularFile(file, maxPlanBytes, systemClock, link)).toString('latin1');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw unusable(file, `cannot be read: ${error.message}`);
  }
}

function unusable(file: string, message: string): ConfigError {
  return new ConfigError(message, { option: 'plans', file });
}
