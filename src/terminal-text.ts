/**
 * Control characters but TAB and LF (C0, DEL, C1), what changes the direction of reading, what some readers take for
 * the end of a line, and halves of surrogate pairs. With the flag `u` a whole pair is one character, which is none of
 * these.
 */
// oxlint-disable-next-line no-control-regex
const unsafe = /[\0-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/**
 * The text with whatever a terminal could obey or be misled by as `\u001b`; TAB and LF stay. In a JSON string the
 * escape stands for the same character, so JSON says the same before and after.
 */
export function escapeControls(text: string): string {
  return text.replace(unsafe, escapeCharacter);
}

/** The same on one line: TAB and LF are escaped, too. */
export function escapeToOneLine(text: string): string {
  return escapeControls(text).replace(/[\t\n]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
