/** Helpers for the language of manual pages: https://mandoc.bsd.lv/man/mdoc.7.html */

/** Escapes literal text, so that quotes and dashes can be pasted into a shell (mandoc_char(7)). */
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

/** Formats a macro line. Each argument stays one word, whatever it contains. */
export function macro(name: string, ...args: readonly string[]): string {
  return ['.' + name, ...args.map(argumentOf)].join(' ');
}

function argumentOf(text: string): string {
  // A macro name or a delimiter on its own would be interpreted.
  const isOrder = /^(?:[A-Z%][A-Za-z]|[().,:;?!|[\]])$/.test(text);
  const escaped = `${isOrder ? '\\&' : ''}${literal(text)}`;
  return /^$|\s/.test(text) ? `"${escaped}"` : escaped;
}

/** Formats the flags of an option, each as an argument of `.Fl`, which adds a dash. */
export function flags(names: readonly string[]): string {
  return names.map((name) => `Fl ${literal(name.slice(1))}`).join(' , ');
}

/** Formats prose that contains `code`, one sentence per line. */
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

/** Formats what follows a macro's argument without a space: each delimiter is a separate argument. */
function delimiters(text: string): readonly string[] {
  if (/^[).,:;?!]*$/.test(text)) return text.split('');
  return ['Ns', argumentOf(text)];
}

/** Wraps text to lines of at most 80 bytes, as mandoc(1) wants. */
function plain(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('"', '\\(dq');
  const lines = escaped.match(/\S.{0,79}(?=\s|$)/g) ?? [];
  return lines.map(protect).join('\n');
}

/** A leading dot or quote would make it a request. */
function protect(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
