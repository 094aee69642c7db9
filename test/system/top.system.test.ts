import { describe, expect, it } from 'vitest';
import { isRunning } from '../support/daemon-process.ts';
import { until } from '../support/wait.ts';
import { childrenOf, clientProgram, daemonProgram, Network } from './machine.ts';
import { DaemonProgram, Program, run } from './program.ts';
import { Tmux } from './tmux.ts';

/** A daemon in a network of its own, on the ports of the shipped config. */
async function served(network: Network): Promise<DaemonProgram> {
  const daemon = new DaemonProgram(['--set', 'workers=1'], (argv) => network.inside(argv));
  await daemon.ready();
  return daemon;
}

/** Clients that connect all the time. */
function load(network: Network): Program {
  const args = ['load', 'localhost:1217', '--service', 'qotd', '--rate', '50', '--duration', '5m'];
  return new Program(network.inside([...clientProgram, ...args]));
}

const top = `${daemonProgram.join(' ')} top`;

function widest(text: string): number {
  return Math.max(...text.split('\n').map(({ length }) => length));
}

describe('smallservd top on a terminal', () => {
  it('shows a daemon under load, obeys keys, and leaves the terminal as it was', { timeout: 120_000 }, async () => {
    const network = Network.make();
    const daemon = await served(network);
    load(network);
    const terminal = new Tmux(network, 100, 30);
    terminal.command('echo be""fore');
    await terminal.shows(/^before$/m);
    terminal.command(top);
    // Connections in a second, bytes sent, and their chart.
    await terminal.shows(/^qotd +\d+ +\d\d[\d.]* .* [▂-█]+ *$/m);
    expect(terminal.text).toMatch(/^smallservd \S+ {2}ready {2}up .* tcp:\/\/localhost:9013$/m);
    expect(terminal.text).toMatch(/^echo .*\n(?:.*\n)*discard /m);
    expect(terminal.text).toMatch(/^worker 1 +ready +\d+ +[\d.]+ MiB/m);
    // oxlint-disable-next-line no-control-regex
    expect(terminal.colored).toMatch(/\u001b\[32m *[▂-█]/);
    expect(terminal.modes).toBe('0 0 0');

    terminal.type('s');
    await terminal.shows(/^SERVICE .*\nqotd /m);
    expect(terminal.text).toContain('sort: requests');

    terminal.resize(60, 16);
    await terminal.shows(/^SERVICE +CLIENTS +REQ\/S +IN\/S +OUT\/S +5 MIN\nqotd /m);
    terminal.type('Down', 'Down');
    await terminal.shows(/\? help +3-11\/\d+$/m);
    terminal.type('Right');
    await terminal.shows(/^PROCESS /m);
    terminal.type('?');
    await terminal.shows(/^p +pause, resume$/m);
    terminal.type('x');
    terminal.type('/', 'qot');
    await terminal.shows(/^\/qot_/m);
    await terminal.shows(/^SERVICE .*\nqotd .*\n\n/m);
    expect(terminal.text).not.toMatch(/^echo /m);
    terminal.type('Escape');
    await terminal.shows(/^echo /m);
    terminal.resize(50, 16);
    await terminal.shows(/^needs 60 columns and 10 rows, has 50 and 16$/m);
    terminal.resize(100, 30);

    // What is paused stays, whatever happens.
    terminal.type('p');
    const [, up = ''] = await terminal.shows(/ready {2}(up \S+) {2}PAUSED /);
    daemon.signal('SIGTERM');
    await daemon.end();
    await terminal.shows(/^disconnected at [\d:]{8}, reconnecting: connection refused$/m);
    expect(terminal.text).toContain(`ready  ${up}  PAUSED `);
    // oxlint-disable-next-line no-control-regex
    expect(terminal.colored).toMatch(/2m(?:\u001b\[\d+m)*requests\/s/);
    terminal.type('p');
    await terminal.shows(/ready {2}up \S.* {2}tcp:/);
    const next = await served(network);
    await terminal.shows(new RegExp(`^process ${next.pid}, `, 'm'));
    expect(terminal.text).not.toContain('disconnected');

    terminal.type('C-z');
    await terminal.shows(/^before\n(?:.*\n)*.*Stopped/m);
    expect(terminal.modes).toBe('1 1 1');
    terminal.command('fg');
    await terminal.shows(/^qotd /m);
    terminal.type('q');
    await terminal.shows(/^before\n/m);
    expect(terminal.text).not.toMatch(/^SERVICE/m);
    expect(terminal.modes).toBe('1 1 1');
    terminal.command('echo "code $?"; stty -a');
    await terminal.shows(/^code 0\n(?:.*\n)*.*(?<!-)icanon.*(?:\n.*)*(?<!-)echo /m);
  });

  it('leaves the terminal as it was when it is terminated, and ends when the terminal does', async () => {
    const network = Network.make();
    await served(network);
    const terminal = new Tmux(network, 80, 24);
    const started = async (): Promise<number> => {
      terminal.command(`${top}; echo "code $?: $(stty -a | grep -wo -- -*icanon)"`);
      await terminal.shows(/^daytime /m);
      return childrenOf(terminal.pid)[0] ?? 0;
    };
    process.kill(await started(), 'SIGTERM');
    await terminal.shows(/^code 143: icanon$/m);
    expect(terminal.modes).toBe('1 1 1');
    terminal.command('clear');
    const pid = await started();
    terminal.close();
    await until(() => !isRunning(pid), 'the end of top');
  });
});

describe('smallservd top without a terminal', () => {
  it('prints one frame, and says what to do instead', async () => {
    const network = Network.make();
    const inside = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Program> =>
      run(network.inside([...daemonProgram, 'top', ...args]), { env });
    const nobody = await inside(['--once']);
    expect([(await nobody.end()).code, nobody.output, nobody.complaints]).toEqual([
      2,
      '',
      'smallservd: no daemon answers at tcp://localhost:9013: connection refused\n',
    ]);
    await served(network);
    const [utf8, ascii, colored, narrow, drawn] = await Promise.all([
      inside(['--once'], { LC_ALL: 'C.UTF-8' }),
      inside(['--once'], { LC_ALL: 'C' }),
      inside(['--once', '--color', 'always'], { LC_ALL: 'C' }),
      inside(['--once'], { LC_ALL: 'C', COLUMNS: '60' }),
      inside([]),
    ]);
    for (const each of [utf8, ascii, colored, narrow]) expect((await each.end()).code).toBe(0);
    expect(utf8.output).toMatch(/^smallservd \S+ {2}ready {2}up .*\n(?:.*\n)*echo +0 /);
    expect(utf8.output).toMatch(/^requests\/s .*▁/m);
    expect(ascii.output).toMatch(/^requests\/s .*_/m);
    expect(ascii.output).toMatch(/^[ -~\n]*$/);
    // oxlint-disable-next-line no-control-regex
    expect(colored.output).toMatch(/\u001b\[32mready\u001b\[39m/);
    expect(widest(ascii.output)).toBeLessThanOrEqual(80);
    expect(widest(narrow.output)).toBeLessThanOrEqual(60);
    expect((await drawn.end()).code).toBe(64);
    expect(drawn.complaints).toBe(
      'smallservd: top needs a terminal as standard input and output: use top --once, status or status --watch\n',
    );
  });

  it('status --watch prints a line every second, says when the daemon goes, and goes on when it is back', async () => {
    const network = Network.make();
    const daemon = await served(network);
    const watch = new Program(network.inside([...daemonProgram, 'status', '--watch']));
    await watch.says(/^ +time clients .*\n(?:[\d:]{8} .*\n){2}/);
    daemon.signal('SIGTERM');
    await watch.says(/^[\d:]{8} no daemon answers at tcp:\/\/localhost:9013: connection refused$/m);
    await served(network);
    await watch.says(/connection refused\n(?:.*\n)*[\d:]{8} ready\n[\d:]{8} +0 /);
    expect(watch.output.split('\n').filter((line) => line.length > 60 && !line.includes('no daemon'))).toEqual([]);
  });
});
