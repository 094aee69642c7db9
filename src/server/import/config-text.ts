import { escapeToOneLine } from '../../terminal-text.ts';
import type { Arranged, ArrangedService } from './arrange.ts';
import { importError, type ImportedSettings, type Note } from './imported.ts';

/** `smallservd check` takes no larger config. */
const maxTextLength = 1 << 20;
/** Longer comments are cut. */
const maxCommentLength = 400;
/** Further notes are counted. */
const maxNotes = 1000;

/**
 * Writes our config, at least one service long, with the notes as comments. `file` is where it comes from. Throws
 * `IMPORT_INVALID` if the text would be too large for a config.
 */
export function configText({ services, notes }: Arranged, file: string): string {
  const text = new BoundedText(file);
  text.add(comment(`Imported from ${file}.`));
  text.add('services:\n');
  for (const [index, service] of services.entries()) {
    if (index > 0) text.add('\n');
    addService(text, service);
  }
  if (notes.length > 0) text.add(`\n${comment('Not imported:')}`);
  for (const note of notes.slice(0, maxNotes)) text.add(comment(formatNote(note)));
  if (notes.length > maxNotes) text.add(comment(`and ${notes.length - maxNotes} more`));
  return text.text;
}

/** One line, without its end. */
export function formatNote({ where, message }: Note): string {
  return `${where}: ${message}`;
}

function addService(text: BoundedText, { name, type, listen, settings, where, notes }: ArrangedService): void {
  text.add(`  ${comment(where.join(', '))}`);
  for (const note of notes) text.add(`  ${comment(formatNote(note))}`);
  text.add(`  ${name}:\n`);
  if (name !== type) text.add(`    type: ${type}\n`);
  text.add(`    listen: ${flow(listen)}\n`);
  for (const [key, value] of Object.entries(settings satisfies ImportedSettings))
    text.add(`    ${key}: ${flow(value)}\n`);
}

/** JSON is YAML. Spaces make it readable. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, each]) => `${key}: ${flow(each)}`);
  return `{ ${pairs.join(', ')} }`;
}

/** A comment of a single line, whatever is in it. YAML does not take every character in a comment. */
function comment(text: string): string {
  const cut = text.length > maxCommentLength ? `${text.slice(0, maxCommentLength)}...` : text;
  return `# ${escapeToOneLine(cut).replaceAll(/[\ufeff\ufffe\uffff]/g, '?')}\n`;
}

class BoundedText {
  readonly #file: string;
  #text = '';

  constructor(file: string) {
    this.#file = file;
  }

  get text(): string {
    return this.#text;
  }

  add(text: string): void {
    this.#text += text;
    if (this.#text.length > maxTextLength)
      throw importError(this.#file, `the config would be larger than ${maxTextLength / 2 ** 20} MiB`);
  }
}
