/** The language of manual pages: https://mandoc.bsd.lv/man/mdoc.7.html */

/** Text that stands as it is: quotes and dashes stay what they are in a shell (mandoc_char(7)). */
export function literal(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '\\': '\\e',
    '-': '\\-',
    '"': '\\(dq',
    "'": '\\(aq',
    '`': '\\(ga',
    '^': '\\(ha',
    '~': '\\(ti',
  };
  return text.replace(/[\\\-"'`^~]/g, (character) => escapes[character] ?? character);
}

/** A line with a macro. An argument is one word to it, whatever it holds. */
export function macro(name: string, ...args: readonly string[]): string {
  return ['.' + name, ...args.map(argumentOf)].join(' ');
}

function argumentOf(text: string): string {
  // Alone, the name of a macro or a delimiter would be taken for one.
  const isOrder = /^(?:[A-Z%][A-Za-z]|[().,:;?!|[\]])$/.test(text);
  const escaped = `${isOrder ? '\\&' : ''}${literal(text)}`;
  return /^$|\s/.test(text) ? `"${escaped}"` : escaped;
}

/** The flags of an option, each as an argument of `.Fl`, which puts a dash before it. */
export function flags(names: readonly string[]): string {
  return names.map((name) => `Fl ${literal(name.slice(1))}`).join(' , ');
}

/** Prose with `code` in it, each sentence on a line of its own. */
export function prose(text: string): string {
  const lines = text.split(/(?<=[.:;?!]) (?=[A-Z`])/).flatMap(linesOfSentence);
  return lines.join('\n');
}

function linesOfSentence(sentence: string): readonly string[] {
  const parts = sentence.split(/(\(*`[^`]+`[^\s`]*)/);
  return parts
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [, opening, code, closing] = /^(\(*)`([^`]+)`(\S*)$/.exec(part) ?? [];
      if (code === undefined) return plain(part);
      return [macro('Ql'), ...(opening ?? '').split(''), argumentOf(code), ...delimiters(closing ?? '')].join(' ');
    });
}

/** What follows a macro's argument without a space: each delimiter is an argument of its own. */
function delimiters(text: string): readonly string[] {
  if (/^[).,:;?!]*$/.test(text)) return text.split('');
  return ['Ns', argumentOf(text)];
}

/** In lines of at most 80 bytes, as mandoc(1) wants them. */
function plain(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('"', '\\(dq');
  const lines = escaped.match(/\S.{0,79}(?=\s|$)/g) ?? [];
  return lines.map(protect).join('\n');
}

/** A dot or a quote at the beginning would make it an order. */
function protect(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
