import { fieldsOf, importError, type Note, quote, trimLine } from './imported.ts';

/** An assignment in a section: `name operator value value …`. */
export interface Attribute {
  readonly where: string;
  readonly name: string;
  readonly operator: '=' | '+=' | '-=';
  readonly values: readonly string[];
}

/** An entry for a service. */
export interface ServiceSection {
  readonly kind: 'service';
  readonly where: string;
  readonly name: string;
  readonly attributes: readonly Attribute[];
  /** The first line that is not an assignment. xinetd then ignores the section. */
  readonly flaw: Note | undefined;
}

export interface DefaultsSection {
  readonly kind: 'defaults';
  readonly where: string;
  readonly attributes: readonly Attribute[];
}

interface IncludeSection {
  readonly kind: 'include' | 'includedir';
  readonly where: string;
  readonly path: string;
}

/** A part of xinetd.conf(5). */
export type XinetdSection = ServiceSection | DefaultsSection | IncludeSection;

interface Line {
  readonly where: string;
  readonly content: string;
}

/**
 * Splits xinetd.conf(5) into its sections. Throws `IMPORT_INVALID` if it is not made of sections, or if a line of
 * `defaults` is not an assignment, since what it restricts would then be open.
 */
export function parseXinetdConf(text: string, file: string): readonly XinetdSection[] {
  const lines = significantLines(text, file);
  const sections: XinetdSection[] = [];
  for (let line = lines.next(); !line.done; line = lines.next()) {
    const { where, content } = line.value;
    const [keyword = '', argument = ''] = fieldsOf(content);
    if (keyword === 'defaults') sections.push(readDefaults(where, lines));
    else if (keyword === 'service' && argument !== '') sections.push(readService(where, argument, lines));
    else if ((keyword === 'include' || keyword === 'includedir') && argument !== '')
      sections.push({ kind: keyword, where, path: argument });
    else throw importError(where, `expected service, defaults, include or includedir, found ${quote(content)}`);
  }
  return sections;
}

/** A comment is a line of its own: `#` after a value is part of the value. */
function* significantLines(text: string, file: string): Generator<Line, undefined> {
  for (const [index, line] of text.split('\n').entries()) {
    const content = trimLine(line);
    if (content !== '' && !content.startsWith('#')) yield { where: `${file}:${index + 1}`, content };
  }
  return undefined;
}

function readService(where: string, name: string, lines: Iterator<Line, undefined>): XinetdSection {
  const { attributes, flaw } = readBody(where, lines);
  return { kind: 'service', where, name, attributes, flaw };
}

function readDefaults(where: string, lines: Iterator<Line, undefined>): XinetdSection {
  const { attributes, flaw } = readBody(where, lines);
  if (flaw !== undefined) throw importError(flaw.where, `defaults: ${flaw.message}`);
  return { kind: 'defaults', where, attributes };
}

function readBody(
  where: string,
  lines: Iterator<Line, undefined>,
): { readonly attributes: readonly Attribute[]; readonly flaw: Note | undefined } {
  if (lines.next().value?.content !== '{') throw importError(where, 'expected a line with { alone after this one');
  const attributes: Attribute[] = [];
  let flaw: Note | undefined;
  for (let line = lines.next(); !line.done; line = lines.next()) {
    if (line.value.content === '}') return { attributes, flaw };
    const attribute = readAttribute(line.value);
    if (attribute !== undefined) attributes.push(attribute);
    else flaw ??= { where: line.value.where, message: `${quote(line.value.content)} is not an assignment` };
  }
  throw importError(where, 'this section has no end: expected a line with } alone');
}

/** xinetd wants white space before the operator. */
function readAttribute({ where, content }: Line): Attribute | undefined {
  const [, name = '', operator, rest = ''] = /^([^ \t\v\f\r=]+)[ \t\v\f\r]+(=|\+=|-=)(.*)$/s.exec(content) ?? [];
  if (operator !== '=' && operator !== '+=' && operator !== '-=') return undefined;
  return { where, name, operator, values: fieldsOf(rest) };
}
