import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { abbreviate, escapeControls, escapeToOneLine, formatJson } from '../../src/terminal-text.ts';

/**
 * By what Unicode says of characters, and not by a list of code points: control, line and paragraph separator,
 * bidirectional, half a pair.
 */
const unsafe = /(?![\t\n])\p{Cc}|\p{Zl}|\p{Zp}|\p{Bidi_Control}|\p{Cs}/u;

/** Any text, with many of the characters that matter. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 255 })).map((codes) => String.fromCharCode(...codes)),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes)),
  fc
    .array(fc.constantFrom('\u001b', '[31m', '\u0090', '\u202e', '\r', '\n', '\t', '\ud83d', '\ude00', 'a', '\\'))
    .map((parts) => parts.join('')),
);

describe('escapeControls', () => {
  test.each([
    ['plain text\twith\nlines', 'plain text\twith\nlines'],
    ['over\rwritten\r\n', 'over\\u000dwritten\\u000d\n'],
    ['\u001b[31mred', '\\u001b[31mred'],
    ['\u009b31m', '\\u009b31m'],
    ['bell\u0007 back\b null\0 delete\u007f', 'bell\\u0007 back\\u0008 null\\u0000 delete\\u007f'],
    ['\u202eright to left\u2069\u061c', '\\u202eright to left\\u2069\\u061c'],
    ['a\u2028b\u2029c\u0085d', 'a\\u2028b\\u2029c\\u0085d'],
    ['\ud83d half, \ude00 half', '\\ud83d half, \\ude00 half'],
    ['bücher ☃ 𝄞 😀', 'bücher ☃ 𝄞 😀'],
  ])('escapes %j as %j', (text, shown) => {
    expect(escapeControls(text)).toBe(shown);
  });

  test('escapes all unsafe characters and leaves the rest unchanged', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = escapeControls(text);
        expect(shown).not.toMatch(unsafe);
        if (!unsafe.test(text)) expect(shown).toBe(text);
        expect(escapeControls(shown)).toBe(shown);
        // Nothing is lost: without backslashes of its own a text can be read back.
        if (!text.includes('\\'))
          expect(shown.replace(/\\u(.{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))).toBe(
            text,
          );
      }),
      { numRuns: 2000 },
    );
  });

  test('preserves the meaning of JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, anyText), (value) => {
        const shown = escapeControls(JSON.stringify(value, null, 2));
        expect(shown).not.toMatch(unsafe);
        expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

test('escapeToOneLine turns any text into one line', () => {
  expect(escapeToOneLine('a\tb\nc\r')).toBe('a\\u0009b\\u000ac\\u000d');
  fc.assert(
    fc.property(anyText, (text) => {
      const shown = escapeToOneLine(text);
      expect(shown).not.toMatch(/[\t\n]/);
      expect(shown).not.toMatch(unsafe);
    }),
  );
});

test('JSON means the same, and controls nothing', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const json = formatJson({ text });
      expect(unsafe.test(json)).toBe(false);
      expect(JSON.parse(json)).toEqual({ text });
    }),
  );
});

test('only words that nobody could read are cut', () => {
  expect(abbreviate(`what is "${'x'.repeat(5000)}"?`)).toBe(`what is "${'x'.repeat(99)}… (5001 characters)"?`);
  const long = 'word '.repeat(5000);
  expect(abbreviate(long)).toBe(long);
});
