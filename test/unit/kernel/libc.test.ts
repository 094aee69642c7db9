import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { root } from '../../support/daemon-process.ts';

it('two copies of the package in one process both have libc', () => {
  const program = `
    const copies = ['', '?copy'].map((query) => ${JSON.stringify(`${root}dist/kernel/libc.js`)} + query);
    const [one, other] = await Promise.all(copies.map((path) => import(path)));
    console.log(one !== other, one.libc !== undefined, other.libc !== undefined);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  expect(output).toBe('true true true\n');
});
