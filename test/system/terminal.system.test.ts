import { describe, expect, it } from 'vitest';
import { isRunning } from '../support/daemon-process.ts';
import { until } from '../support/wait.ts';
import { checkout, Network, needs } from './machine.ts';
import { Peers } from './peers.ts';
import { Program } from './program.ts';

needs('script', 'nc', 'ip');

const controlC = '\x03';
// oxlint-disable-next-line no-control-regex
const colors = /\u001b\[[0-9;]*m/g;

interface Session {
  readonly terminal: Program;
  readonly network: Network;
}

/** A command on a terminal of its own: script(1) passes on what is typed, and ends as the command does. */
function onTerminal(command: string): Session {
  const network = Network.make();
  const terminal = new Program(
    network.inside(['script', '--quiet', '--return', '--command', `exec ${command}`, '/dev/null']),
    {
      directory: checkout,
      env: { TERM: 'xterm-256color' },
    },
  );
  return { terminal, network };
}

describe('npm start on a terminal', () => {
  it('prints a table of listeners and human-readable log lines', async () => {
    const { terminal } = onTerminal('npm start');
    await terminal.says(/time +127\.0\.0\.1:1237/);
    const shown = terminal.output.replaceAll(colors, '').replaceAll('\r\n', '\n');
    expect(shown).toMatch(/^service +TCP +UDP$/m);
    for (const [service, port] of Object.entries({
      daytime: 1200,
      echo: 1201,
      discard: 1209,
      systat: 1211,
      qotd: 1217,
      chargen: 1219,
      time: 1237,
    })) {
      const addresses = `127\\.0\\.0\\.1:${port} \\[::1\\]:${port}`;
      expect(shown).toMatch(new RegExp(`^${service} +${addresses} +${addresses}$`, 'm'));
    }
    expect(shown).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO(?: \(\d+\))?: starting\b/m);
    expect(shown).not.toContain('{"level"');
    terminal.type(controlC);
    await terminal.end();
  });

  // With a grace period longer than the test may take: nothing waits for it.
  it.each(['npm start --', 'node dist/smallservd.js', 'node dist/smallservd.js --set workers=0'])(
    'Ctrl-C stops %s gracefully and frees the ports at once',
    async (command) => {
      const { terminal, network } = onTerminal(`${command} --set shutdown.grace=1h`);
      await terminal.says(/time +127\.0\.0\.1:1237/);
      const peers = new Peers(network);
      expect(await peers.tcp('127.0.0.1', 1201, 'here\n')).toBe('here\n');
      terminal.type(controlC);
      expect((await terminal.end()).code).toBe(0);
      expect(terminal.output.replaceAll(colors, '')).toMatch(/INFO: stopped \{"exitCode":0\}/);
      // Somebody else can have the ports at once.
      const next = new Program(network.inside(['npm', 'start']), { directory: checkout });
      await next.says(/"msg":"ready"/);
    },
  );

  it('Ctrl-C lets a client finish, and a second Ctrl-C stops at once', async () => {
    const { terminal, network } = onTerminal('npm start -- --set shutdown.grace=1h');
    await terminal.says(/time +127\.0\.0\.1:1237/);
    const peers = new Peers(network);
    const client = peers.talk('-N', '127.0.0.1', '1201');
    client.type('one\n');
    await client.says(/one\n/);
    // Workers say once a second whom they serve.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    terminal.type(controlC);
    await terminal.says(/Waiting for 1 client, up to 60m\. To disconnect now, press Ctrl-C again\./);
    while ((await peers.tcp('127.0.0.1', 1200)) !== '');
    // It takes nobody new, and still serves whom it has.
    client.type('two\n');
    await client.says(/two\n/);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    terminal.type(controlC);
    expect((await terminal.end()).code).toBe(0);
  });

  const opener = [
    'user=nobody',
    'services.opener.module=../test/process/fixtures/terminal-opener.js',
    'services.opener.listen=tcp://127.0.0.1:7001',
  ];
  const program = `node dist/smallservd.js run ${opener.map((each) => `--set ${each}`).join(' ')}`;

  it.each([program, program.replace(' run ', ' check ')])(
    'modules have no access to the terminal of root: %s',
    async (command) => {
      const { terminal } = onTerminal(`bash -c 'exec 400</etc/shadow; exec ${command}'`);
      await terminal.says(/terminal: /);
      if (command === program) {
        await terminal.says(/opener +127\.0\.0\.1:7001/);
        terminal.type(controlC);
      }
      expect((await terminal.end()).code).toBe(0);
      expect(terminal.output).toContain('terminal: ENXIO');
      expect(terminal.output).not.toContain('\u001b]0;taken');
      expect(terminal.output).toContain('descriptor 400: closed');
      // What it prints is shown, but obeyed by nothing.
      expect(terminal.output).toContain('\\u001b]0;printed');
    },
  );

  it('Ctrl-C stops a check and its child process', async () => {
    const { terminal } = onTerminal(program.replace(' run ', ' check ').replace('terminal-opener', 'hangs-at-import'));
    await terminal.says(/hangs now/);
    terminal.type(controlC);
    await terminal.end();
    const hanging = Number(/hangs now: (\d+)/.exec(terminal.output)?.[1]);
    await until(() => !isRunning(hanging), 'the end of the process that hangs');
  });

  it('a check exits even if a module leaves a process behind that keeps writing', async () => {
    const { terminal } = onTerminal(program.replace(' run ', ' check ').replace('terminal-opener', 'leaves-writer'));
    await terminal.end();
    const left = Number(/left behind: (\d+)/.exec(terminal.output)?.[1]);
    expect(terminal.output).toContain('still here');
    process.kill(left, 'SIGKILL');
  });

  it('a service that logs no message or writes invalid log lines does not affect others', async () => {
    const sets = ['wordless.module=../test/process/fixtures/wordless.js', 'wordless.listen=tcp://127.0.0.1:7001'];
    const options = ['user=root', ...sets.map((each) => `services.${each}`)].map((each) => `--set ${each}`);
    const { terminal, network } = onTerminal(`node dist/smallservd.js ${options.join(' ')}`);
    await terminal.says(/wordless +127\.0\.0\.1:7001/);
    const peers = new Peers(network);
    for (let turn = 0; turn < 3; turn += 1) expect(await peers.tcp('127.0.0.1', 7001)).toBe('logged\n');
    await terminal.says(/no JSON/);
    expect(await peers.tcp('127.0.0.1', 1201, 'here\n')).toBe('here\n');
    terminal.type(controlC);
    expect((await terminal.end()).code).toBe(0);
  });
});
