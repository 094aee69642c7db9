/**
 * Control characters except TAB and LF (C0, DEL, C1), bidirectional controls, characters that some readers take for a
 * line end, and lone surrogates. With the flag `u`, a surrogate pair is one character and does not match.
 */
// oxlint-disable-next-line no-control-regex
const unsafe = /[\0-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/**
 * Replaces everything that could control or mislead a terminal with escapes such as `\u001b`, except TAB and LF. In a
 * JSON string, such an escape means the same character, so the JSON value does not change.
 */
export function escapeControls(text: string): string {
  return text.replace(unsafe, escapeCharacter);
}

/** The same for a single line: TAB and LF are also escaped. */
export function escapeToOneLine(text: string): string {
  return escapeControls(text).replace(/[\t\n]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
