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

/** Longer words, as of an argument that is quoted, are cut in an error message. */
const maxWordCharacters = 1000;
const shownCharacters = 100;

/** Cuts what nobody could read: very long words. */
export function abbreviate(text: string): string {
  return text.replace(/\S+/g, (word) =>
    word.length <= maxWordCharacters ? word : `${word.slice(0, shownCharacters)}… (${word.length} characters)`,
  );
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
