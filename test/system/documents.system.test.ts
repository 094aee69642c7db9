import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocksOf, read } from '../repository/files.ts';
import { compare, type Exchange, parseSession, runSession, withoutVarying } from './console-session.ts';
import { startLab } from './lab.ts';
import { needs } from './machine.ts';
import { sessionShell, startSessionShell } from './session-shell.ts';

needs(
  'ip',
  'nc',
  'unshare',
  'nsenter',
  'mount',
  'setpriv',
  'xinetd',
  'inetutils-inetd',
  'haproxy',
  'nft',
  'curl',
  'openssl',
);

/** The section of the README alone: its other blocks are of the daemon, and tested elsewhere. */
const [, section = ''] = /^(## The client tools\n[\s\S]*?)^## /m.exec(read('README.md')) ?? [];

const testing = read('docs/TESTING.md');

/** Each section is a session that starts anew. */
const sections = testing.split(/^(?=## )/m).slice(1);

const pages = [
  ['docs/CLIENT.md', read('docs/CLIENT.md'), startLab],
  ['docs/TEXTBOOK.md', read('docs/TEXTBOOK.md'), startLab],
  ['the client tools section of README.md', section, startLab],
  ...sections.map((each) => [`docs/TESTING.md, ${/^## (.*)/.exec(each)?.[1]}`, each, startSessionShell] as const),
] as const;

describe('docs/TESTING.md', () => {
  it('has three sessions in the shell that the test starts', () => {
    expect(sections).toHaveLength(3);
    expect(testing).toContain(`sudo ${sessionShell.join(' ')} bash\n`);
  });
});

describe.each(pages)('%s', (_, page, start) => {
  const blocks = blocksOf(page);
  const sessions = blocks.filter(({ language }) => language === 'console').map(({ text }) => text);

  it('shows the actual output of its commands', { timeout: 180_000 }, async () => {
    expect(sessions.length).toBeGreaterThan(0);
    const lab = await start();
    // Those with a path quote a file of the repository.
    for (const { mark = '/', text } of blocks) if (!mark.includes('/')) writeFileSync(join(lab.directory, mark), text);
    const shown: Exchange[] = [];
    const seen: Exchange[] = [];
    for (const session of sessions) {
      const exchanges = parseSession(session);
      const results = await runSession(exchanges, lab);
      for (const [index, exchange] of exchanges.entries()) {
        const pair = compare(exchange, results[index] ?? { command: '', output: [] });
        shown.push(pair.shown);
        seen.push(pair.seen);
      }
    }
    expect(seen).toEqual(shown);
  });
});

describe('a console block', () => {
  it('is parsed command by command', () => {
    expect(parseSession('$ one\n$ two \\\n> more\nout\n\nput\n^C\nend\n')).toEqual([
      { command: 'one', output: [''] },
      { command: 'two \\\nmore', output: ['out\n\nput\n', 'end\n'] },
    ]);
  });

  it.each(['', 'output alone\n', '$ silent\n^C\n'])('is rejected if it cannot be run: %j', (block) => {
    expect(() => parseSession(block)).toThrow();
  });

  it.each([
    ['3 sent, 3 received, 0% lost, 201 ms', '3 sent, 2 received, 33.33% lost, 198 ms'],
    [
      '64 bytes from 192.0.2.10: icmp_seq=1 ttl=64 time=0.3 ms',
      '64 bytes from 192.0.2.9: icmp_seq=1 ttl=64 time=0.3 ms',
    ],
    ['no answer within 300ms', 'no answer within 500ms'],
    ['answered   5,000, 25,825/s', 'answered   4,999, 25,825/s'],
    [
      '1048576 bytes in 0.004 s, 242866305 bytes/s (231.62 MiB/s)',
      '74 bytes in 0.004 s, 242866305 bytes/s (231.62 MiB/s)',
    ],
  ])('does not match if a significant value differs: %s', (one, other) => {
    expect(withoutVarying(one)).not.toBe(withoutVarying(other));
  });

  it.each([
    ['Sunday, November 22, 2026 19:18:07-UTC', 'Monday, March 1, 2027 01:02:03-+0530'],
    ['Sun Nov 22 19:18:08 2026', 'Mon Mar  1 01:02:03 2027'],
    ['rtt min/avg/max/mdev = 0.107/0.155/0.241/0.061 ms', 'rtt min/avg/max/mdev = 10.1/15.5/24.1/6.1 ms'],
    ['answered   5,000, 25,825/s', 'answered   5,000, 99/s'],
    ['≤  25 µs  ▋  0.3%     14\n≤  40 µs  ███▌  1.7%     85\n', '≤  1 ms  ▋  100%     99\n'],
    [
      'offset 0 s (the clocks agree), round trip 0.5 ms',
      'offset -1 s (the server is behind this machine), round trip 1.5 ms',
    ],
  ])('matches if only varying values differ: %s', (one, other) => {
    expect(withoutVarying(one)).toBe(withoutVarying(other));
  });

  it('may omit lines with an ellipsis, but the remaining lines must match', () => {
    const shown = { command: 'x', output: ['one\n…\nfour\n'] };
    const full = compare(shown, { command: 'x', output: ['one\ntwo\nthree\nfour\n'] });
    expect(full.seen).toEqual(full.shown);
    const other = compare(shown, { command: 'x', output: ['one\ntwo\nthree\nfive\n'] });
    expect(other.seen).not.toEqual(other.shown);
  });
});
