/**
 * Replaces everything that could control or mislead a terminal with escapes such as `\u001b`: control characters except
 * TAB and LF (C0, DEL, C1), bidirectional controls, characters that some readers take for a line end, and lone
 * surrogates. In a JSON string, such an escape means the same character, so the JSON value does not change. Text that
 * is nothing else costs hardly more than other text: compromised workers may write it.
 */
export function escapeControls(text: string): string {
  let escaped = '';
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (!isUnsafe(code)) continue;
    if (isSurrogate(code) && isPair(code, text.charCodeAt(at + 1))) {
      at += 1;
      continue;
    }
    escaped += text.slice(from, at) + escapeOf(code);
    from = at + 1;
  }
  return from === 0 ? text : escaped + text.slice(from);
}

function isUnsafe(code: number): boolean {
  if (code < 0x7f) return code < 0x20 && code !== tab && code !== lineFeed;
  if (code < 0x2000) return code <= 0x9f || code === 0x61c;
  if (code > 0x2069) return isSurrogate(code);
  return code >= 0x2066 || (code >= 0x2028 && code <= 0x202e) || code === 0x200e || code === 0x200f;
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

function isPair(high: number, low: number): boolean {
  return high < 0xdc00 && low >= 0xdc00 && low <= 0xdfff;
}

const tab = 0x09;
const lineFeed = 0x0a;

/** The same for a single line: TAB and LF are also escaped. */
export function escapeToOneLine(text: string): string {
  return escapeControls(text).replace(/[\t\n]/g, (character) => escapeOf(character.charCodeAt(0)));
}

/** Formats a value as JSON that cannot control a terminal, wherever it is printed in the end. */
export function formatJson(value: unknown): string {
  return `${escapeControls(JSON.stringify(value, null, 2))}\n`;
}

/** The same on one line, as in a file of JSON lines. */
export function formatJsonLine(value: unknown): string {
  return `${escapeControls(JSON.stringify(value))}\n`;
}

/** Longer words, as of an argument that is quoted, are cut in an error message. */
const maxWordCharacters = 1000;
const shownCharacters = 100;

/** Cuts what nobody could read: very long words. */
export function abbreviate(text: string): string {
  return text.replace(/\S+/g, (word) => {
    if (word.length <= maxWordCharacters) return word;
    // The end of a quotation, and what follows it.
    const [tail = ''] = /[":,;?)]{0,3}$/.exec(word) ?? [];
    return `${word.slice(0, shownCharacters)}… (${word.length - tail.length} characters)${tail}`;
  });
}

function escapeOf(code: number): string {
  return escapes[code] ?? `\\u${code.toString(16).padStart(4, '0')}`;
}

const escapes = Array.from({ length: 0xa0 }, (_, code) => `\\u${code.toString(16).padStart(4, '0')}`);
