import { ConfigError } from '../service.ts';

/** RFC 865: fewer than 512 characters, including line ends. */
const maxLength = 511;

/** Each takes about a hundred bytes of memory in every process. */
const maxQuotations = 100_000;

/**
 * Parses a file of quotations, given as latin1 text so that a character is a byte. There is one per line or, if any
 * line is exactly `%`, they are separated by such lines as in fortune files. Empty lines are dropped. Each quotation
 * becomes the bytes of its answer, with CR LF after every line. Throws `ConfigError` with file and line.
 */
export function parseQuotations(text: string, file: string): readonly Uint8Array[] {
  const lines = text.split(/\r\n|\r|\n/);
  const fortune = lines.includes('%');
  const quotations: Uint8Array[] = [];
  let answer = '';
  let begin = 0;

  function finish(): void {
    if (answer.length > maxLength) {
      const message = `a quotation has at most ${maxLength} characters, including line endings; this one has ${answer.length}`;
      throw new ConfigError(message, { file, line: begin });
    }
    if (answer !== '' && quotations.length === maxQuotations)
      throw new ConfigError(`a file may contain at most ${maxQuotations} quotations`, { file, line: begin });
    if (answer !== '') quotations.push(Buffer.from(answer, 'latin1'));
    answer = '';
  }

  for (const [index, line] of lines.entries()) {
    const other = /[^ -~]/.exec(line)?.[0];
    if (other !== undefined) {
      const code = other.charCodeAt(0).toString(16).padStart(2, '0');
      throw new ConfigError(`a quotation may contain only printable ASCII, not the byte 0x${code}`, {
        file,
        line: index + 1,
      });
    }
    if (fortune && line === '%') {
      finish();
    } else if (line.trim() !== '') {
      if (answer === '') begin = index + 1;
      answer += `${line}\r\n`;
      if (!fortune) finish();
    }
  }
  finish();
  if (quotations.length === 0) throw new ConfigError('the file contains no quotations', { option: 'file', file });
  return quotations;
}

/** Used if no file is configured. The authors died long ago. */
export const builtInQuotations = parseQuotations(
  `The unexamined life is not worth living. -- Socrates
I think, therefore I am. -- Rene Descartes
If I have seen further, it is by standing on the shoulders of giants. -- Isaac Newton
No man is an island, entire of itself. -- John Donne
We are such stuff as dreams are made on. -- William Shakespeare
Brevity is the soul of wit. -- William Shakespeare
To err is human, to forgive divine. -- Alexander Pope
Our life is frittered away by detail. Simplify, simplify. -- Henry David Thoreau
A foolish consistency is the hobgoblin of little minds. -- Ralph Waldo Emerson
Begin at the beginning, and go on till you come to the end: then stop. -- Lewis Carroll
In the fields of observation chance favors only the prepared mind. -- Louis Pasteur
The Analytical Engine weaves algebraical patterns just as the Jacquard loom weaves flowers and leaves. -- Ada Lovelace
`,
  'the built-in quotations',
);
