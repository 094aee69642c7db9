import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { root } from '../../support/daemon-process.ts';

/**
 * What a program of its own, and a child of that, show after `code`, which has the functions of privileges.ts in scope.
 */
function statusAfter(code: string): { readonly own: string; readonly child: string; readonly results: unknown } {
  const program = `
    const { dropBoundingSet, forbidNewPrivileges, leaveKeyring } = await import(${JSON.stringify(`${root}dist/kernel/privileges.js`)});
    const { execFileSync } = await import('node:child_process');
    const { readFileSync } = await import('node:fs');
    const results = ${code};
    const own = readFileSync('/proc/thread-self/status', 'utf8');
    const child = execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' });
    console.log(JSON.stringify({ own, child, results }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  return JSON.parse(output) as { own: string; child: string; results: unknown };
}

test('forbidNewPrivileges sets no_new_privs for the process and its children', () => {
  const { own, child, results } = statusAfter('[forbidNewPrivileges()]');
  expect(results).toEqual([true]);
  for (const status of [own, child]) expect(status).toMatch(/^NoNewPrivs:\t1$/m);
});

test('dropBoundingSet empties the bounding set if permitted', () => {
  const isRoot = process.geteuid?.() === 0;
  const { own, child, results } = statusAfter('[dropBoundingSet()]');
  expect(results).toEqual([isRoot]);
  if (isRoot) for (const status of [own, child]) expect(status).toMatch(/^CapBnd:\t0{16}$/m);
});

test('leaveKeyring replaces the session keyring', () => {
  const program = `
    const { leaveKeyring } = await import(${JSON.stringify(`${root}dist/kernel/privileges.js`)});
    const { libc } = await import(${JSON.stringify(`${root}dist/kernel/libc.js`)});
    const number = { x64: 250, arm64: 219 }[process.arch];
    // KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING
    const keyring = () => libc.syscall(number, 0, -3, 0, 0);
    const before = keyring();
    const isLeft = leaveKeyring();
    console.log(JSON.stringify({ before, isLeft, after: keyring() }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  const { before, isLeft, after } = JSON.parse(output) as { before: number; isLeft: boolean; after: number };
  // Most containers have no keys, and no calls for them.
  expect(isLeft).toBe(before > 0);
  if (!isLeft) return;
  expect(after).toBeGreaterThan(0);
  expect(after).not.toBe(before);
});

/** The exit code of a process, or the signal that ended it, after `endWithParent`; 7 if that worked. */
function endAfter(parent: string): unknown {
  const program = `
    const { endWithParent } = await import(${JSON.stringify(`${root}dist/kernel/privileges.js`)});
    process.exit(endWithParent(${parent}) ? 7 : 8);`;
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', program]);
  return status ?? signal;
}

test('endWithParent ends a process that has already lost its parent', () => {
  expect(endAfter('process.ppid')).toBe(7);
  expect(endAfter('process.pid')).toBe('SIGKILL');
});
