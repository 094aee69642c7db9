/** Whatever comes from outside gives no orders to a terminal, whichever command shows it. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { clientCommandLine, daemonCommandLine } from '../../scripts/generate/manual/pages.ts';
import { live, noPast } from '../unit/server/admin/live.ts';
import { snapshot } from '../unit/server/admin/snapshot.ts';
import { fixtures, writeConfig } from '../support/daemon-process.ts';
import { fakeTcpServer, fakeUdpServer } from '../support/fake-servers.ts';
import { freePort } from '../support/ports.ts';
import { clientProgram, daemonProgram, needs } from './machine.ts';
import { Program } from './program.ts';

needs('script');

/**
 * A title, a clear, colors, a question that is answered as if typed, a string for the terminal, and a line over the
 * line.
 */
const orders =
  '\u001b]0;owned\u0007\u001b[2J\u001b[1;31mred\u001b[8m\u001b[6n\u001bP+q544e\u001b\\\u009b31m over\rwritten';
const controls = String.fromCharCode(...Array.from({ length: 0xa0 }, (_, code) => code).filter(isControl));
const hostile = `${orders}${controls}\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069`;
/** As part of an argument, which ends at a NUL. */
const argument = hostile.replaceAll('\0', '');

function isControl(code: number): boolean {
  return code < 0x20 || code >= 0x7f;
}

/** The line of progress, which smallserv replaces. */
// oxlint-disable-next-line no-control-regex
const progress = /\r[^\r\n\u001b]*\u001b\[K/g;
/** Before a table, which replaces that of before. */
// oxlint-disable-next-line no-control-regex
const redraw = /\r(?:\u001b\[\d+A)?\u001b\[J/g;
/** The color of a level, which stands nowhere else in the log. */
// oxlint-disable-next-line no-control-regex
const ownColors = /(?<=^\[[\d:.]+\] )\u001b\[\d\dm([A-Z]+)\u001b\[39m/gm;

/**
 * What it shows on a terminal of its own, whose line ends are CRLF; without input, and with the line of progress taken
 * out.
 */
async function shownBy(argv: readonly string[], more = ''): Promise<string> {
  const command = argv.map((each) => `'${each.replaceAll("'", `'\\''`)}'`).join(' ');
  const terminal = new Program(
    ['script', '--quiet', '--return', '--command', `exec ${command} ${more} < /dev/null`, '/dev/null'],
    { env: { TERM: 'xterm-256color', NO_COLOR: '1' } },
  );
  await terminal.end(30_000);
  return terminal.output.replaceAll(progress, '').replaceAll(redraw, '').replaceAll('\r\n', '\n');
}

function expectHarmless(shown: string, what: string): void {
  expect(shown, what).not.toMatch(/(?![\t\n])\p{Cc}|\p{Zl}|\p{Zp}|\p{Bidi_Control}/u);
  // A byte from 0x80 on that stands alone.
  expect(shown, what).not.toContain('\ufffd');
}

interface Server {
  readonly name: string;
  readonly port: number;
}

type Arguments = (server: Server) => readonly (readonly string[])[];

/** Asks the server, as text and as JSON. */
function asking(...options: readonly string[]): Arguments {
  return ({ name }) => [
    [name, ...options],
    [name, ...options, '--json'],
    [argument, ...options],
  ];
}

/** Over TCP and UDP. */
function asksEither(...options: readonly string[]): Arguments {
  return (server) => [...asking(...options)(server), ...asking(...options, '-u')(server)];
}

/** Asks the endpoint of a running daemon. */
function askingAdmin(admin: string, config: string): readonly (readonly string[])[] {
  return [
    ['--config', config, '--admin', admin],
    ['--config', config, '--admin', argument],
    ['--config', argument, '--admin', admin],
    ['--config', config, '--set', argument],
  ];
}

describe('smallserv', () => {
  const calls: Readonly<Record<string, Arguments>> = {
    ip: () => [[argument]],
    mask: () => [[argument], ['192.0.2.1', argument]],
    resolve: () => [[argument]],
    'lookup-host': () => [[argument], ['--cname', argument]],
    'lookup-port': () => [
      ['tcp', argument],
      [argument, 'echo'],
    ],
    'lookup-protocol': () => [[argument]],
    head: (server) => [...asking()(server), [server.name, '--path', argument]],
    daytime: asksEither(),
    time: asksEither(),
    qotd: asksEither(),
    systat: asksEither(),
    chargen: (server) => [...asksEither()(server), ...asking('--verify')(server), ...asking('--bytes', '50')(server)],
    discard: (server) => [...asksEither('--bytes', '100')(server), [server.name, `/nowhere/${argument}`]],
    echo: (server) => [...asksEither()(server), ...asksEither('-c', '2', '-i', '1ms')(server)],
    ping: () => [[argument], ['127.0.0.1', '-c', '1', '-s', argument]],
    mtu: asking('--tries', '1', '-W', '300ms'),
    stamp: asking('-c', '1', '-W', '300ms'),
    probe: (server) => [
      ...asksEither('--send', 'x')(server),
      ...asking('--expect', 'no match')(server),
      ...asking('--tls')(server),
      ...['--expect', '--send', '--servername'].map((option) => [server.name, '--tls', option, argument]),
      [server.name, '--watch', '-c', '1', '--expect', 'HTTP'],
    ],
    load: (server) =>
      ['echo', 'daytime', 'chargen', 'discard'].flatMap((service) =>
        asking('--service', service, '--requests', '2', '--duration', '300ms', '--connections', '1')(server),
      ),
    conform: ({ port }) =>
      clientServices.flatMap((service) => [
        ['127.0.0.1', '--services', service, '--port', `${service}=${port}`],
        [argument, '--services', service, '--port', `${service}=${port}`],
        ['127.0.0.1', '--services', argument],
      ]),
  };
  const clientServices = ['daytime', 'qotd'];

  it('has test calls for every command', () => {
    expect(Object.keys(calls).sort()).toEqual(clientCommandLine.commands.map(({ name }) => name).sort());
  });

  it('escapes unknown commands, unknown options and surplus arguments', async () => {
    for (const args of [[argument], [`--${argument}`], ['echo', `-${argument}`], ['echo', 'a', 'b', argument]])
      expectHarmless(await shownBy([...clientProgram, ...args]), args.join(' '));
  });

  describe.each(['utf8', 'latin1'] as const)('escapes hostile arguments and answers in %s', (encoding) => {
    it.each(Object.keys(calls))('%s', { timeout: 240_000 }, async (command) => {
      const answer = Buffer.from(`HTTP/1.0 200 ${orders}\r\n${hostile}\r\n`, encoding);
      const tcp = await fakeTcpServer((socket) => void socket.resume().end(answer));
      await fakeUdpServer((_, reply) => reply(answer), tcp.host, tcp.port);
      const all = calls[command]?.(tcp) ?? [];
      // What does not ask the server is the same with every encoding.
      const lines = encoding === 'utf8' ? all : all.filter((args) => args.join(' ').includes(String(tcp.port)));
      const timed = new Set(['ip', 'mask', 'lookup-port', 'lookup-protocol']).has(command)
        ? []
        : ['--timeout', '300ms'];
      const shown = await Promise.all(
        lines.map(async (args) => shownBy([...clientProgram, command, ...timed, ...args])),
      );
      for (const [index, each] of shown.entries()) expectHarmless(each, lines[index]?.join(' ') ?? '');
      // Else the text would not have come as far as the terminal, and nothing would be shown.
      if (encoding === 'utf8') expect(shown.filter((each) => /\\(?:u00|x)1b/.test(each))).not.toEqual([]);
    });
  });
});

describe('smallservd', () => {
  /** An endpoint where somebody else answers. */
  const impostors: Readonly<Record<string, RequestListener>> = {
    'a daemon of such names': (request, response) => {
      const [service = 'echo'] = Object.keys(snapshot().services);
      const status = snapshot({
        version: hostile,
        node: hostile,
        notReady: [hostile],
        config: { name: hostile, hash: hostile },
        reload: {
          attempts: 1,
          failures: 1,
          isRunning: false,
          lastSuccessAt: null,
          last: { succeeded: false, at: '2026-11-22T11:07:12.000Z', agoMs: 1000, tookMs: 1, errors: [hostile] },
        },
        listeners: [{ service: hostile, address: hostile, isOpen: true }],
        services: { [hostile]: { ...snapshot().services[service]!, type: hostile } },
      });
      if (request.url === '/events') {
        response.writeHead(200, { Server: 'smallservd', 'Content-Type': 'text/event-stream' });
        const now = live({
          status: { ...live().status, ...status },
          faults: { [hostile]: { [hostile]: hostile } },
          reloads: [{ at: '2026-11-22T11:07:12.000Z', tookMs: 1, error: hostile, errors: 1 }],
          log: [{ level: hostile, time: hostile, message: hostile, fields: { [hostile]: hostile } }],
        });
        const events = Object.entries({ past: noPast, ...now });
        response.end(events.map(([name, value]) => `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`).join(''));
        return;
      }
      const config = { [hostile]: hostile, services: { [hostile]: { listen: [hostile] } } };
      response.setHeader('Server', 'smallservd').end(JSON.stringify(request.url === '/status' ? status : config));
    },
    'a daemon that is in trouble': (_, response) =>
      void response.writeHead(503, { Server: 'smallservd' }).end(`${orders.replace('\r', '')}\n`),
    'a daemon of no shape': (_, response) =>
      void response.setHeader('Server', 'smallservd').end(JSON.stringify({ [hostile]: hostile })),
  };

  const calls: Readonly<Record<string, (admin: string, config: string) => readonly (readonly string[])[]>> = {
    run: (_, config) => [
      ['--config', argument],
      ['--config', config, '--set', `${argument}=1`],
      ['--config', config, '--set', `log.file=/nowhere/${argument}`],
      ['--config', config, '--set', `user=${argument}`],
      [argument],
    ],
    check: (admin, config) =>
      [[], ['--json']].flatMap((json) => [
        ...askingAdmin(admin, config).map((args) => ['--diff', ...json, ...args]),
        ['--config', config, '--set', `admin.hosts=["${argument.replaceAll(/[\n"\\]/g, '')}"]`, ...json],
        ['--config', config, '--set', 'log.file=/tmp/\u009b\u202e', ...json],
      ]),
    reload: askingAdmin,
    status: (admin, config) => [
      ...askingAdmin(admin, config),
      ...askingAdmin(admin, config).map((args) => ['--json', ...args]),
    ],
    top: (admin, config) => askingAdmin(admin, config).map((args) => ['--once', ...args]),
    faults: (admin) => [
      ['echo', 'loss=0.1', '--admin', admin],
      [argument, 'loss=0.1', '--admin', admin],
      ['echo', argument, '--admin', admin],
      ['echo', `loss=${argument}`, '--admin', admin],
      ['echo', 'loss=0.1', '--for', argument, '--admin', admin],
      ['echo', 'loss=0.1', '--admin', argument],
    ],
    services: () => [[argument], [`--${argument}`]],
    import: () => [[argument], ['--dialect', argument, '/nonexistent']],
    'install-service': () => [['--dry-run', '--root', `/tmp/${argument}`], [`--${argument}`]],
  };

  it('has test calls for every command', () => {
    expect(Object.keys(calls).sort()).toEqual(daemonCommandLine.commands.map(({ name }) => name).sort());
  });

  async function expectEscaped(command: string, admin: string): Promise<void> {
    const config = writeConfig({ services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
    const lines = calls[command]?.(admin, config) ?? [];
    const shown = await Promise.all(lines.map(async (args) => shownBy([...daemonProgram, command, ...args])));
    for (const [index, each] of shown.entries()) {
      expectHarmless(each, lines[index]?.join(' ') ?? '');
      expect(each, 'a stack').not.toMatch(/^smallservd: +at /m);
    }
    expect(shown.filter((each) => each.includes('\\u001b'))).not.toEqual([]);
  }

  const asks = daemonCommandLine.commands.filter(({ options }) =>
    options.some(({ flags }) => flags.includes('--admin')),
  );

  describe.each(Object.keys(impostors))('escapes answers from %s', (impostor) => {
    it.each(asks.map(({ name }) => name))('%s', { timeout: 240_000 }, async (command) => {
      const server = createServer(impostors[impostor]).listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      await expectEscaped(command, `tcp://127.0.0.1:${(server.address() as { port: number }).port}`);
    });
  });

  it.each(Object.keys(calls).filter((name) => !asks.some((each) => each.name === name)))(
    'escapes hostile arguments to %s',
    { timeout: 240_000 },
    async (command) => expectEscaped(command, ''),
  );

  it('run escapes control characters that a worker writes directly to the log', async () => {
    const port = await freePort();
    const module = join(fixtures, 'raw-writer.js');
    const config = writeConfig({
      user: 'root',
      workers: 1,
      services: { raw: { module, listen: [`tcp://127.0.0.1:${port}`] } },
    });
    const argv = [...daemonProgram, '--config', config].join(' ');
    const terminal = new Program(['script', '--quiet', '--return', '--command', `exec ${argv}`, '/dev/null'], {
      env: { TERM: 'xterm-256color' },
    });
    await terminal.says(/INFO.*ready/);
    const client = connect(port, '127.0.0.1').end(hostile).resume();
    await once(client, 'close');
    await terminal.says(/the last line/);
    await terminal.says(/printed a line/);
    terminal.type('\u0003');
    await terminal.end();
    const shown = terminal.output.replace('^C', '').replaceAll(ownColors, '$1');
    expect(shown).toContain('\\u001b[2J');
    expectHarmless(shown.replaceAll('\r\n', '\n'), 'the log');
  });
});
