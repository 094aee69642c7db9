import { describe, expect, it } from 'vitest';
import { type InetdName, startInetd } from './inetds.ts';
import { checkout, clientProgram, Network, needs } from './machine.ts';
import { DaemonProgram, Program, run } from './program.ts';

needs('script', 'ip', 'nc', 'xinetd', 'inetutils-inetd');

const controlC = '\x03';
const controlD = '\x04';

/** A network with the daemon, its echo on port 1201. */
async function withDaemon(): Promise<Network> {
  const network = Network.make();
  await new DaemonProgram(['--set', 'workers=0', '--set', 'user=root'], (argv) => network.inside(argv)).ready();
  return network;
}

/** `smallserv ARGS` on a terminal of its own: script(1) passes on what is typed, and ends as the command does. */
function onTerminal(network: Network, ...args: readonly string[]): Program {
  const command = `exec node dist/smallserv.js ${args.join(' ')}`;
  return new Program(network.inside(['script', '--quiet', '--return', '--command', command, '/dev/null']), {
    directory: checkout,
    env: { TERM: 'xterm-256color' },
  });
}

/** What the terminal shows, line by line. */
function shown(terminal: Program): string {
  return terminal.output.replaceAll('\r\n', '\n');
}

describe('smallserv echo on a terminal', () => {
  it.each([[[]], [['--udp']]])('echoes line by line until Ctrl-D (%j)', async (args) => {
    const terminal = onTerminal(await withDaemon(), 'echo', '127.0.0.1:1201', ...args);
    await terminal.says(/^127\.0\.0\.1:1201 sends back what you type; Ctrl-D ends it\.\r\n/);
    terminal.type('grüße\n');
    // Once as the terminal shows what is typed, once from the peer.
    await terminal.says(/(grüße\r\n){2}/);
    terminal.type('two\n');
    await terminal.says(/(two\r\n){2}/);
    terminal.type(controlD);
    expect((await terminal.end()).code).toBe(0);
  });

  it('escapes control sequences from the peer', async () => {
    const terminal = onTerminal(await withDaemon(), 'echo', '127.0.0.1:1201');
    await terminal.says(/Ctrl-D/);
    terminal.type('\x1b[2Jgone\n');
    await terminal.says(/\\u001b\[2Jgone\r\n/);
    terminal.type(controlD);
    expect((await terminal.end()).code).toBe(0);
    expect(terminal.output).not.toContain('\x1b[2J');
  });

  it.each([
    [['--keepalive', '30s'], /timer:\(keepalive,(2\d|30)sec/],
    [[], /^(?!.*timer:)/s],
  ] as const)('enables TCP keepalive only with --keepalive (%j)', async (args, timer) => {
    const network = await withDaemon();
    const terminal = onTerminal(network, 'echo', '127.0.0.1:1201', ...args);
    await terminal.says(/Ctrl-D/);
    const sockets = await run(network.inside(['ss', '--tcp', '--numeric', '--options', 'dport = :1201']));
    expect(sockets.output).toMatch(/ESTAB .*127\.0\.0\.1:1201/);
    expect(sockets.output).toMatch(timer);
    terminal.type(controlD);
    expect((await terminal.end()).code).toBe(0);
  });

  it('exits with 130 on Ctrl-C', async () => {
    const terminal = onTerminal(await withDaemon(), 'echo', '127.0.0.1:1201');
    await terminal.says(/Ctrl-D/);
    terminal.type(controlC);
    expect((await terminal.end()).code).toBe(130);
    expect(shown(terminal)).toMatch(/smallserv: interrupted\n$/);
  });

  it('reports that the peer closed the connection and exits without waiting for more input', async () => {
    const network = Network.make();
    const peer = new Program(network.inside(['nc', '-v', '-l', '127.0.0.1', '7000']));
    await peer.until(() => peer.complaints.includes('Listening'), 'nc');
    const terminal = onTerminal(network, 'echo', '127.0.0.1:7000');
    await terminal.says(/Ctrl-D/);
    terminal.type('one\n');
    await peer.says(/one/);
    peer.signal('SIGTERM');
    expect((await terminal.end()).code).toBe(1);
    expect(shown(terminal)).toMatch(
      /smallserv: 127\.0\.0\.1:7000 closed the connection: 4 of 4 bytes did not come back\n$/,
    );
  });

  it('shows live progress and prints a summary on Ctrl-C', async () => {
    const terminal = onTerminal(await withDaemon(), 'echo', '-u', '127.0.0.1:1201', '-c', '0', '-i', '20ms', '-q');
    await terminal.says(/\r\d+ requests?, 0% lost(, [\d.]+\/s)?, last [\d.]+ ms/);
    terminal.type(controlC);
    expect((await terminal.end()).code).toBe(0);
    expect(shown(terminal)).toMatch(/\n--- 127\.0\.0\.1:1201: (\d+) sent, \1 received, 0% lost, \d+ ms\nrtt min/);
  });
});

describe.each<InetdName>(['xinetd', 'inetutils-inetd'])('smallserv echo against %s', (name) => {
  it('gets back everything it sends over TCP and UDP on port 7', async () => {
    const network = Network.make();
    await startInetd(name, network);
    const echo = async (input: string, ...args: readonly string[]): Promise<Program & { code: number | null }> => {
      const program = await run(network.inside([...clientProgram, 'echo', '127.0.0.1', ...args]), { input });
      return Object.assign(program, { code: (await program.end()).code });
    };
    for (const protocol of [[], ['--udp']]) {
      const text = 'all that goes out comes back\n'.repeat(protocol.length === 0 ? 100_000 : 100);
      const piped = await echo(text, ...protocol);
      expect(piped.complaints).toBe('');
      expect(piped.output === text).toBe(true);
      expect(piped.code).toBe(0);
      const timed = await echo('', ...protocol, '-c', '5', '-i', '50ms', '-q');
      expect(timed.output).toContain('5 sent, 5 received, 0% lost');
      expect(timed.code).toBe(0);
    }
  });

  it('detects truncation of large datagrams', async () => {
    const network = Network.make();
    await startInetd(name, network);
    const argv = [...clientProgram, 'echo', '127.0.0.1', '-u', '-c', '1', '-s', '20000', '--timeout', '300ms'];
    const program = await run(network.inside(argv));
    expect((await program.end()).code).toBe(1);
    expect(program.output).toMatch(/^(\d+) bytes from 127\.0\.0\.1:7: seq=1 corrupted from offset \1 on$/m);
    expect(program.output).toContain('1 sent, 0 received, 1 corrupted, 100% lost');
  });
});
