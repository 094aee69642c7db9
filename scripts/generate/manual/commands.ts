import type { CommandLine, OptionLine, Parameter } from '../command-line.ts';
import { loadTools } from '../../../src/client/tool/index.ts';
import type { Tool } from '../../../src/client/tool/tool.ts';
import { flags, literal, macro, prose } from './mdoc.ts';

const tools = await loadTools();

/** Lists the subcommands of a program: usage, summary, options and examples. */
export function commandList({ commands }: CommandLine): string {
  return ['.Bl -tag -width Ds', ...commands.flatMap(commandItem), '.El'].join('\n');
}

function commandItem({ name, summary, parameters, options }: CommandLine): readonly string[] {
  const own = options.filter(isOwn);
  const examples = tools.find((tool) => tool.name === name)?.examples ?? [];
  const head = ['It Cm', literal(name), own.length > 0 ? 'Oo Ar options Oc' : '', ...parameters.map(parameterOf)];
  return [
    `.${head.filter(Boolean).join(' ')}`,
    prose(sentence(summary)),
    ...list(parameters, parameterItem),
    ...list(own, optionItem),
    ...(examples.length > 0 ? ['.Pp', 'Examples:'] : []),
    ...list(examples, exampleItem),
  ];
}

/** Lists the options of the program itself. */
export function optionList({ options }: CommandLine): string {
  return ['.Bl -tag -width Ds', ...options.flatMap(optionItem), '.El'].join('\n');
}

function list<Item>(items: readonly Item[], lines: (item: Item) => readonly string[]): readonly string[] {
  if (items.length === 0) return [];
  return ['.Pp', '.Bl -tag -width Ds -compact', ...items.flatMap(lines), '.El'];
}

function parameterOf({ name, isRequired, isVariadic }: Parameter): string {
  const argument = `Ar ${literal(name)}${isVariadic ? ' ...' : ''}`;
  return isRequired ? argument : `Oo ${argument} Oc`;
}

function parameterItem({ name, summary, choices }: Parameter): readonly string[] {
  return [`.It Ar ${literal(name)}`, ...detail(summary, choices, undefined)];
}

function optionItem(option: OptionLine): readonly string[] {
  return [`.It ${flags(option.flags)}${valueOf(option)}`, ...detail(option.summary, option.choices, option.fallback)];
}

function detail(
  summary: string,
  choices: readonly string[] | undefined,
  fallback: string | undefined,
): readonly string[] {
  return [
    prose(sentence(summary)),
    ...(choices === undefined ? [] : [prose(`One of ${choices.map((choice) => `\`${choice}\``).join(', ')}.`)]),
    ...(fallback === undefined ? [] : [prose(`The default is \`${fallback}\`.`)]),
  ];
}

/** Every command has --help, so the manual mentions it only once. */
function isOwn({ flags: names }: OptionLine): boolean {
  return !names.includes('--help');
}

/** Examples of the smallserv tools; those of smallservd are in its page. */
function exampleItem([line, purpose]: Tool['examples'][number]): readonly string[] {
  return [macro('It Ic', `smallserv ${line}`), prose(sentence(purpose))];
}

/** Help summaries start in lower case and have no full stop. */
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;
}

/** Formats the synopsis of each subcommand, with all of its options. */
export function synopsis({ commands }: CommandLine): string {
  return commands.flatMap(synopsisOf).join('\n');
}

function synopsisOf({ name, parameters, options }: CommandLine): readonly string[] {
  return [
    '.Nm',
    macro('Cm', name),
    ...options.filter(isOwn).map(optionOf),
    ...parameters.map((each) => `.${parameterOf(each)}`),
  ];
}

function optionOf(option: OptionLine): string {
  return `.Op Fl ${literal((option.flags[0] ?? '').slice(1))}${valueOf(option)}`;
}

function valueOf({ value, optionalValue }: OptionLine): string {
  if (value !== undefined) return ` Ar ${literal(value)}`;
  return optionalValue === undefined ? '' : ` Oo Ar ${literal(optionalValue)} Oc`;
}
