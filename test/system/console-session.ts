/** The console blocks of a document: what they show, and what their commands print when they are run. */
import { builtInQuotations } from '../../src/services/quotations.ts';
import type { Lab } from './lab.ts';
import { kill, Program } from './program.ts';

/** A command of a block, and the lines after it. */
export interface Exchange {
  readonly command: string;
  /** What it prints up to a Ctrl-C, and from there on. */
  readonly output: readonly string[];
}

/**
 * Reads a block: `$ ` begins a command, `> ` a further line of it; everything else is output, and a line `^C` in it is
 * a Ctrl-C that somebody types once the lines before it are there. Throws where it cannot be run.
 */
export function parseSession(block: string): readonly Exchange[] {
  if (!block.startsWith('$ ')) throw new Error(`a console block without a command cannot be run:\n${block}`);
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = ''] = /^.*\n(?:> .*\n)*/.exec(text) ?? [];
      const output = text.slice(command.length).split(/^\^C\n/m);
      if (output.length > 1 && output[0] === '') throw new Error(`nothing tells when to type Ctrl-C:\n${text}`);
      return { command: command.replaceAll(/^> /gm, '').trimEnd(), output };
    });
}

/**
 * Runs the commands of a block one after the other, each with a shell of its own that knows how the one before it
 * ended.
 */
export async function runSession(exchanges: readonly Exchange[], lab: Lab): Promise<readonly Exchange[]> {
  const seen: Exchange[] = [];
  let status = 0;
  for (const { command, output } of exchanges) {
    const shell = `exec 2>&1\n(exit ${status})\n${command}\n`;
    const program = new Program(lab.inside(['bash', '-c', shell]), { directory: lab.directory, input: '' });
    const [beforeInterrupt = ''] = output;
    let before: string | undefined;
    if (output.length > 1) {
      const lines = beforeInterrupt.split('\n').length;
      await program.until(() => program.output.split('\n').length >= lines || !program.running, 'the first lines');
      before = linesOf(program);
      // The tool alone: the shell prints nothing of its own.
      kill(program.family.at(-1) ?? program.pid, 'SIGINT');
    }
    status = (await program.end(120_000)).code ?? 1;
    const all = linesOf(program);
    seen.push({ command, output: before === undefined ? [all] : [before, all.slice(before.length)] });
  }
  return seen;
}

/** Its output with line feeds alone, as a document has them. */
function linesOf({ output }: Program): string {
  return output.replaceAll('\r\n', '\n');
}

const quotations = builtInQuotations.map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('\r\n', '\n'));

/**
 * What differs from run to run by its nature: the time, how long things take, how fast they are, what the system
 * chooses.
 */
const varying: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['DAYTIME', /\b[A-Z][a-z]+day, [A-Z][a-z]+ \d{1,2}, \d{4} [\d:]{8}-[\w+]+/g],
  ['DATE', /\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} (?:[A-Z+-]\S* )?\d{4}\b/g],
  ['DATE', /\b\d\d [A-Z]{3} \d{4} [\d:]{8} \S+/g],
  ['DATE', /\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/g],
  ['DATE', /\b\d{4}-\d\d-\d\dT[\d:.]+Z/g],
  ['OFFSET', /(?:0|[+-]1) s \((?:the clocks agree|the server is [a-z ]+ this machine)\)/g],
  ['SECONDS-SINCE-1900', /\b[ef][0-9a-f](?: [0-9a-f]{2}){3}(?= 00 00 00 00 \(8 bytes\))/g],
  ['HISTOGRAM', /^≤.+(?:\n≤.+)*/gm],
  ['RATE', /\b[\d.]+ bytes\/s \([\d.]+ MiB\/s\)/g],
  ['RATE', /(?<=answered +[\d,]+, )[\d,.]+\/s/g],
  ['RATE', /\b[\d,.]+ (?:bytes|[KMG]iB)\/s/g],
  ['RATE', /(?<="bytesPerSecond": )[\d.]+/g],
  ['TIME', /(?<="\w+Ms": )[\d.]+/g],
  ['TIME', /(?<=^\{"type":.*"\w+Ms":)[\d.]+/gm],
  ['TIME', /\b[\d./]+ (?:µs|ms|s)\b/g],
  ['TIME', /\b\d+(?:\.\d+)?(?= avg,)/g],
  ['TIMES', /(?<=^\S+ +: )\d[\d. ]+$/gm],
  ['TIME', /(?<=,reply,)[\d.]+(?=,$)/gm],
  ['TIME', /(?<=keepalive,)[\w.]+/g],
  ['PACKETS', /\b\d+ packets\b/g],
  ['PORT', /(?<=\[::1\]:)\d{5}\b/g],
  ['PORT', /(?<="(?:peer|via)":\[?"[\d.]+:)\d+/g],
  ['USERS', /^\d+ users?$/gm],
  ['ANSWERS', /(?<=expected 30 answers; saw )\w+/g],
  ['SIZE', /(?<=a factor of )[\d.]+: \d+ bytes on the wire for \d+/g],
];

/** What `stamp` tells only of two synchronized clocks, and what it says of them. */
const ofClocks =
  /^(?:there|back) min.*\n|^clocks: .*\n| there=\S+ ms back=\S+ ms|"(?:forward|backward|error)Ms":[-\d.]+,/gm;

/** The output with a name in place of what varies, and with single spaces in such lines. */
export function withoutVarying(output: string): string {
  const withoutClocks = output.replaceAll(ofClocks, '');
  const withoutQuotations = quotations.reduce(
    (all, each) => all.replaceAll(each.trimEnd(), '<QUOTATION>'),
    withoutClocks,
  );
  return varying
    .reduce((all, [name, pattern]) => all.replaceAll(pattern, `<${name}>`), withoutQuotations)
    .replaceAll(/^.*<[A-Z].*$/gm, (line) => line.replaceAll(/ +/g, ' '));
}

/**
 * What a document should show for an exchange that was seen, to be compared with what it does show: where a line `…`
 * there stands for lines that are left out, it stands here, too. Both come without what varies.
 */
export function compare(shown: Exchange, seen: Exchange): { readonly shown: Exchange; readonly seen: Exchange } {
  const output = shown.output.map(withoutVarying);
  return {
    shown: { ...shown, output },
    seen: { ...seen, output: seen.output.map((text, part) => leaveOut(withoutVarying(text), output[part] ?? '')) },
  };
}

function leaveOut(text: string, shown: string): string {
  const kept = shown.split(/^…\n/m).map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  return kept.length > 1 && new RegExp(`^${kept.join('(?:.*\n)*?')}$`).test(text) ? shown : text;
}
