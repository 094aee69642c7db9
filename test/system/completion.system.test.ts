import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkout, needs, temporaryDirectory } from './machine.ts';
import { run } from './program.ts';

needs('bash', 'fish', 'zsh');

/** A command line, and what its last word can become, among others. */
const cases: readonly (readonly [line: string, words: readonly string[]])[] = [
  ['smallservd che', ['check']],
  ['smallservd ins', ['install-service']],
  ['smallservd check --di', ['--diff']],
  ['smallservd check env', ['envelope']],
  ['smallservd run --bi', ['--bind']],
  ['smallservd reload --ad', ['--admin']],
  ['smallservd --conf', ['--config']],
  ['smallservd --config here/own', ['here/own.yaml']],
  ['smallservd --config=here/own', ['here/own.yaml']],
  ['smallservd check -c here/own', ['here/own.yaml']],
  ['smallservd --set services.qotd.fi', ['services.qotd.file=']],
  ['smallservd run --set log.le', ['log.level=']],
  ['smallserv dayt', ['daytime']],
  ['smallserv lookup-', ['lookup-host', 'lookup-port', 'lookup-protocol']],
  ['smallserv echo --keep', ['--keepalive']],
  ['smallserv load --service di', ['discard']],
  ['smallserv load localhost:1201 --service cha', ['chargen']],
  ['smallserv discard localhost:1209 here/own', ['here/own.yaml']],
  ['smallserv lookup-port ud', ['udp', 'udp4', 'udp6']],
  ['smallserv lookup-port udp discar', ['discard']],
  ['smallserv lookup-protocol ipv6-ic', ['ipv6-icmp']],
  ['smallserv conform --services echo,dayt', ['echo,daytime']],
  ['smallserv conform --port dayt', ['daytime=']],
  ['smallserv ping --ttl 3 localh', ['localhost']],
];

/** With files to complete. */
function directory(): string {
  const path = temporaryDirectory();
  mkdirSync(join(path, 'here'));
  writeFileSync(join(path, 'here/own.yaml'), '');
  return path;
}

/**
 * What bash would put into these variables:
 * https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html
 */
const bashScript = `
source /usr/share/bash-completion/bash_completion
source "$1"
# Outside of a key press there is nothing to set.
compopt() { :; }
COMP_LINE=$2 COMP_POINT=\${#2}
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
COMP_TYPE=9 COMP_KEY=9
"_$1" "$1" "\${COMP_WORDS[-1]}" "\${COMP_WORDS[-2]}"
printf '%s\\n' "\${COMPREPLY[@]}"
`;

describe('bash completes', () => {
  test.each(cases)('%s', async (line, words) => {
    const parts = line.split(/ |([=:])/).filter((part) => part !== undefined && part !== '');
    const argv = ['bash', '-c', bashScript, 'bash', join(checkout, 'completion/smallservd.bash'), line, ...parts];
    const shell = await run(argv, { directory: directory() });
    expect(shell.complaints).toBe('');
    expect(shell.output.trimEnd().split('\n').toSorted()).toEqual([...new Set(words)].toSorted());
  });

  test('commands and options after a space', async () => {
    const argv = ['bash', '-c', bashScript, 'bash', join(checkout, 'completion/smallservd.bash')];
    const commands = await run([...argv, 'smallservd ', 'smallservd', '']);
    expect(commands.output.split('\n')).toEqual(expect.arrayContaining(['run', 'check', 'status', 'services', 'help']));
    const options = await run([...argv, 'smallservd status ', 'smallservd', 'status', '']);
    expect(options.output.split('\n')).toEqual(expect.arrayContaining(['--watch', '--json', '--config']));
  });
});

/**
 * Types each line into an interactive zsh on a terminal of its own, presses Tab, and prints what has become of the
 * line.
 */
const zshScript = `
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell "PS1= fpath=($1 \\$fpath)
autoload -Uz compinit && compinit -u -D
report() { print -r -- \\"<<\\$BUFFER|\\$_lastcomp[nmatches]>>\\"; BUFFER=; zle accept-line }
zle -N report && bindkey '^X' report
print -r -- \${:-rea}dy"
zpty -r -m shell greeting '*ready*'
shift
for line in "$@"; do
  zpty -w -n shell "$line"$'\\t\\C-x'
  zpty -r -m shell answer '*<<*>>*'
  print -r -- "\${\${answer##*<<}%%>>*}"
done
zpty -d shell
`;

async function zshAnswers(lines: readonly string[]): Promise<readonly string[]> {
  const argv = ['zsh', '-f', '-c', zshScript, 'zsh', join(checkout, 'completion'), ...lines];
  const shell = await run(argv, { directory: directory() });
  expect(shell.complaints).toBe('');
  return shell.output.trimEnd().split('\n');
}

describe('zsh completes', () => {
  test('each line, inserting the word if it is the only match', async () => {
    const lines = cases.map(([line]) => line);
    // It waits for each.
    const third = Math.ceil(lines.length / 3);
    const thirds = [0, 1, 2].map((part) => lines.slice(part * third, (part + 1) * third));
    const answers = (await Promise.all(thirds.map(async (part) => zshAnswers(part)))).flat();
    expect(answers.length).toBe(cases.length);
    for (const [index, [line, words]] of cases.entries()) {
      const [buffer = '', matches] = answers[index]?.split('|') ?? [];
      const before = line.slice(0, Math.max(line.lastIndexOf(' '), line.lastIndexOf('=')) + 1);
      const whole = `${before}${words.length === 1 ? words[0] : commonStart(words)}`;
      // After a whole word there is a space, or what its value or the next of a list comes after.
      expect([whole, `${whole} `, `${whole}=`, `${whole},`], line).toContain(buffer);
      expect(Number(matches), line).toBe(words.length);
    }
  });
});

/** Prints what each line can become, after the line itself. */
const fishScript = `
source $argv[1]/smallservd.fish
source $argv[1]/smallserv.fish
for line in $argv[2..-1]
    echo "line $line"
    complete -C $line
end
`;

/** By line. */
async function fishCompletes(lines: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const argv = ['fish', '--no-config', '--command', fishScript, join(checkout, 'completion'), ...lines];
  const shell = await run(argv, { directory: directory(), env: { HOME: temporaryDirectory() } });
  expect(shell.complaints).toBe('');
  const answers = shell.output.split(/^line /m).slice(1);
  return new Map(
    answers.map((answer) => {
      const [line = '', ...words] = answer.trimEnd().split('\n');
      // A description follows.
      return [line, words.map((word) => word.replace(/\t.*/, '').replace(/^--\w+=(?=.)/, ''))];
    }),
  );
}

describe('fish completes', () => {
  test('each line', async () => {
    const completed = await fishCompletes(cases.map(([line]) => line));
    for (const [line, words] of cases) expect(completed.get(line)?.toSorted(), line).toEqual(words.toSorted());
  });

  test('commands, options and arguments after a space', async () => {
    const completed = await fishCompletes(['smallservd ', 'smallserv ', 'smallserv help ', 'smallservd status -']);
    const some = ['run', 'check', 'status', 'services', 'help'];
    expect(completed.get('smallservd ')).toEqual(expect.arrayContaining(some));
    expect(completed.get('smallserv ')).toEqual(expect.arrayContaining(['echo', 'ping', 'help']));
    expect(completed.get('smallserv help ')).toEqual(expect.arrayContaining(['echo', 'ping']));
    const options = ['--watch', '--json', '--config'];
    expect(completed.get('smallservd status -')).toEqual(expect.arrayContaining(options));
  });
});

function commonStart(words: readonly string[]): string {
  const [first = '', ...others] = words;
  let end = first.length;
  while (!others.every((word) => word.startsWith(first.slice(0, end)))) end -= 1;
  return first.slice(0, end);
}
