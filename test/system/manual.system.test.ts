import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkout, needs } from './machine.ts';
import { run } from './program.ts';

needs('mandoc', 'man');

describe.each(['smallserv.1', 'smallservd.8', 'smallservd.yaml.5'])('man/%s', (page) => {
  const path = join(checkout, 'man', page);

  test('passes mandoc lint', async () => {
    const lint = await run(['mandoc', '-T', 'lint', '-W', 'warning', path]);
    expect(`${lint.output}${lint.complaints}`).toBe('');
    expect(await lint.end()).toEqual({ code: 0, signal: null });
  });

  test('is formatted by man without warnings and with ASCII dashes', async () => {
    const env = { MANWIDTH: '80', MAN_KEEP_FORMATTING: '' };
    const shown = await run(['man', '--warnings', '--local-file', path], { env });
    expect(shown.complaints).toBe('');
    expect(shown.output).toMatch(/^NAME\n {5}smallserv\S* /m);
    // What a reader copies into a shell must be the dashes of a shell.
    expect(shown.output).not.toMatch(/[\u2010\u2212]-?(?:config|set|json|udp)/);
  });
});
