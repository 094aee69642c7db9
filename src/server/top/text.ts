import { eastAsianWidth } from 'get-east-asian-width';
import { escapeToOneLine } from '../../terminal-text.ts';

/** How text is drawn. Nothing depends on it: without color, everything can be read as well. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'inverse';

/** A part of a line that is drawn in one way. */
export interface Span {
  readonly text: string;
  readonly style?: Style | undefined;
}

export type Line = readonly Span[];

/** The characters that a terminal can show. */
export interface Glyphs {
  readonly isUnicode: boolean;
  /** Stands for what has been cut. */
  readonly ellipsis: string;
  /** Stands for what is not known. */
  readonly unknown: string;
  /** Of a chart: for nothing, then from little to much. */
  readonly bars: readonly string[];
}

export const unicodeGlyphs: Glyphs = { isUnicode: true, ellipsis: '…', unknown: '–', bars: '▁▂▃▄▅▆▇█'.split('') };
export const asciiGlyphs: Glyphs = { isUnicode: false, ellipsis: '~', unknown: '-', bars: '_.:-=+*#'.split('') };

/** What the locale of an environment can show (setlocale(3)). */
export function glyphsOf(environment: Readonly<Record<string, string | undefined>>): Glyphs {
  const values = [environment['LC_ALL'], environment['LC_CTYPE'], environment['LANG']];
  const locale = values.find((each) => each !== undefined && each !== '') ?? '';
  return /utf-?8/i.test(locale) ? unicodeGlyphs : asciiGlyphs;
}

const invisible = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** How many columns it takes. It may be fewer if a terminal joins characters. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  return invisible.test(character) ? 0 : eastAsianWidth(code);
}

/** Makes text of anybody harmless, in characters that the terminal can show, and cuts it to a width. */
export function shown(text: string, width: number, glyphs: Glyphs): string {
  // More could be invisible, and is not worth looking at.
  const some = text.slice(0, 4 * width + 4);
  const safe = escapeToOneLine(glyphs.isUnicode ? some : some.replaceAll('–', glyphs.unknown));
  return cut(glyphs.isUnicode ? safe : safe.replace(/[^ -~]/g, escapeOf), width, glyphs);
}

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function cut(text: string, width: number, { ellipsis }: Glyphs): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let left = width - ellipsis.length;
  for (const character of text) {
    left -= characterWidth(character);
    if (left < 0) break;
    kept += character;
  }
  return width < ellipsis.length ? '' : kept + ellipsis;
}

/** Fills up to a width with spaces. */
export function padded(text: string, width: number, side: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return side === 'left' ? text + space : space + text;
}

/** Cuts a line to a width. */
export function fitLine(line: Line, width: number, glyphs: Glyphs): Line {
  let left = width;
  const fitting: Span[] = [];
  for (const { text, style } of line) {
    if (left <= 0) break;
    const part = cut(text, left, glyphs);
    left -= widthOf(part);
    if (part !== '') fitting.push({ text: part, style });
    if (part !== text) break;
  }
  return fitting;
}

/** How many columns a line takes. */
export function lineWidth(line: Line): number {
  return line.reduce((sum, { text }) => sum + widthOf(text), 0);
}
