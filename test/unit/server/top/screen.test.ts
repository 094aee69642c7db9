import { expect, it } from 'vitest';
import { Screen } from '../../../../src/server/top/screen.ts';

const output = {
  columns: 80,
  rows: 24,
  text: '',
  write(text: string): boolean {
    this.text += text;
    return true;
  },
  take(): string {
    const { text } = this;
    this.text = '';
    return text.replaceAll('\u001b', '^');
  },
};

it('draws only lines that have changed, and leaves the terminal once', () => {
  const screen = new Screen(output, ({ text }) => text);
  screen.draw([[{ text: 'too early' }]]);
  expect(output.take()).toBe('');
  screen.open();
  expect(output.take()).toBe('^[?1049h^[?25l^[?7l^[2J');
  screen.draw([[{ text: 'one' }, { text: '1' }], [{ text: 'two' }], []]);
  expect(output.take()).toBe('^[1;1H^[2Kone1^[2;1H^[2Ktwo');
  screen.draw([[{ text: 'one1' }], [{ text: 'too' }], []]);
  expect(output.take()).toBe('^[2;1H^[2Ktoo');
  screen.draw([[{ text: 'one1' }], [], []]);
  expect(output.take()).toBe('^[2;1H^[2K');
  screen.forget();
  screen.draw([[{ text: 'one1' }], [], []]);
  expect(output.take()).toBe('^[2J^[1;1H^[2Kone1');
  screen.close();
  screen.close();
  expect(output.take()).toBe('^[0m^[24;1H^[?7h^[?25h^[?1049l');
});
