import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Block, blocksOf, read } from '../repository/files.ts';
import { compare, parseSession, runSession, withoutVarying } from './console-session.ts';
import type { Lab } from './lab.ts';
import { checkout, needs } from './machine.ts';
import { startSessionShell } from './session-shell.ts';

needs('ip', 'nc', 'unshare', 'nsenter', 'mount');

/** A shell in whose directory modules find this package under its name. */
async function startShell(): Promise<Lab> {
  const lab = await startSessionShell();
  mkdirSync(join(lab.directory, 'node_modules'));
  symlinkSync(checkout, join(lab.directory, 'node_modules/smallservd'));
  await run('ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/smallservd', lab);
  return lab;
}

/** Starts the daemon in the background, and resolves when it is ready. */
async function start(command: string, lab: Lab): Promise<void> {
  const isReady = `grep -q '"msg":"ready"' log`;
  await run(`${command} > log 2>&1 &\nuntil ${isReady} || ! kill -0 $!; do sleep 0.1; done; ${isReady}`, lab);
}

async function run(command: string, lab: Lab): Promise<void> {
  expect(await runSession([{ command, output: [''] }], lab)).toMatchObject([{ output: [''] }]);
}

function consolesOf(blocks: readonly Block[]): readonly string[] {
  return blocks.filter(({ language }) => language === 'console').map(({ text }) => text);
}

describe('docs/SERVICES.md', () => {
  const blocks = blocksOf(read('docs/SERVICES.md'));
  const [loadavg = '', status = '', ...others] = consolesOf(blocks);
  const averages = /^[\d.]+ [\d.]+ [\d.]+$/gm;

  it('shows the answers of its loadavg.js, and the error of an option', async () => {
    const lab = await startShell();
    const module = blocks.find(({ language }) => language === 'js')?.text ?? '';
    const config = blocks.find(({ language }) => language === 'yaml')?.text ?? '';
    writeFileSync(join(lab.directory, 'loadavg.js'), module);
    writeFileSync(join(lab.directory, 'smallservd.yaml'), config);
    await start('smallservd --config smallservd.yaml --set user=root', lab);
    const shown = parseSession(loadavg.replace('npx smallservd', 'smallservd'));
    expect(shown).toHaveLength(3);
    for (const [index, seen] of (await runSession(shown, lab)).entries()) {
      const [before, after] = [shown[index], seen].map((each) => each?.output.join('').replace(averages, 'averages'));
      expect(after).toBe(before);
    }
  });

  it('shows the counter of its later.js', async () => {
    const lab = await startShell();
    const module = blocks.find(({ mark }) => mark === 'later.js')?.text ?? '';
    writeFileSync(join(lab.directory, 'later.js'), module);
    const service = { module: './later.js', listen: ['tcp://127.0.0.1:1299'] };
    const config = { user: 'root', admin: { listen: 'tcp://127.0.0.1:9013' }, services: { later: service } };
    writeFileSync(join(lab.directory, 'smallservd.yaml'), JSON.stringify(config));
    await start('smallservd --config smallservd.yaml', lab);
    await run(
      `[ "$(head -c 600 /dev/zero | tr '\\0' x | nc -N 127.0.0.1 1299)" = "$(printf 'line too long\\r')" ]`,
      lab,
    );
    // The worker reports once a second.
    await run(
      'export SMALLSERVD_CONFIG=smallservd.yaml; until smallservd status | grep -q long_lines; do sleep 0.2; done',
      lab,
    );
    const shown = parseSession(status);
    const seen = await runSession(
      shown.map((each) => ({ ...each, command: `SMALLSERVD_CONFIG=smallservd.yaml ${each.command}` })),
      lab,
    );
    expect(seen.map((each, index) => compare(shown[index] ?? each, each).seen.output)).toEqual(
      shown.map(({ output }) => output),
    );
  });

  it('has no other console blocks', () => {
    expect(others).toEqual([]);
  });
});

describe('docs/KUBERNETES.md', () => {
  const [session = '', ...others] = consolesOf(blocksOf(read('docs/KUBERNETES.md')));

  it('shows what envelope answers in a pod', async () => {
    const lab = await startShell();
    const [begin, ask] = parseSession(session);
    if (begin === undefined || ask === undefined) throw new Error('the session has two commands');
    await start(begin.command.replace(/ &$/, ''), lab);
    const [seen] = await runSession([ask], lab);
    const [before, after] = [ask, seen].map((each) => withoutVarying(each?.output.join('') ?? ''));
    const host = /(?<="host":")[^"]+/;
    expect(after?.replace(host, 'HOST')).toBe(before?.replace(host, 'HOST'));
  });

  it('has no other console blocks', () => {
    expect(others).toEqual([]);
  });
});
