import { describe, expect, test } from 'vitest';
import { flags, literal, macro, prose } from '../../../scripts/generate/manual/mdoc.ts';

describe('literal', () => {
  test.each([
    ['plain', 'plain'],
    ['--set', '\\-\\-set'],
    ['a\'b`c"d', 'a\\(aqb\\(gac\\(dqd'],
    ['^~\\', '\\(ha\\(ti\\e'],
  ])('escapes %s as %s', (text, escaped) => {
    expect(literal(text)).toBe(escaped);
  });
});

describe('macro', () => {
  test('quotes an argument with spaces or an empty argument', () => {
    expect(macro('Ic', 'smallserv ip ::1', '')).toBe('.Ic "smallserv ip ::1" ""');
  });

  test.each(['Op', 'No', '.', '(', '|', '%A'])('escapes the argument %s', (text) => {
    expect(macro('Ql', text)).toBe(`.Ql \\&${text}`);
  });
});

test('flags leaves the leading dash to the macro', () => {
  expect(flags(['-c', '--config'])).toBe('Fl c , Fl \\-config');
});

describe('prose', () => {
  test.each([
    ['A sentence. Another: `with code`.', 'A sentence.\nAnother:\n.Ql "with code" .'],
    ['`auto` is one (`0` is none), too', '.Ql auto\nis one\n.Ql ( 0\nis none), too'],
    ['such as `a`, or `b`s', 'such as\n.Ql a ,\nor\n.Ql b Ns s'],
    ['.profile is no macro', '\\&.profile is no macro'],
    ['a \\ and a "', 'a \\e and a \\(dq'],
  ])('%s', (text, lines) => {
    expect(prose(text)).toBe(lines);
  });

  test('wraps at 80 bytes without losing a word', () => {
    const text = Array.from({ length: 60 }, (_, index) => `word${index}`).join(' ');
    const lines = prose(text).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.join(' ')).toBe(text);
  });
});
