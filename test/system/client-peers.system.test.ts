import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Chargen, Discarded, EchoPingResult, Time } from '../../src/client/index.ts';
import { type InetdName, startInetd, startXinetd } from './inetds.ts';
import { checkout, clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { Program, run } from './program.ts';

needs('ip', 'script', 'xinetd', 'inetutils-inetd');

/** What a tool said, and how it ended. */
interface Said {
  readonly output: string;
  readonly complaints: string;
  readonly exitCode: number | null;
}

type Smallserv = (args: readonly string[], input?: string) => Promise<Said>;

/** An inetd, and smallserv in its network. */
async function start(name: InetdName): Promise<Smallserv> {
  const network = Network.make();
  await startInetd(name, network);
  return smallservIn(network);
}

function smallservIn(network: Network): Smallserv {
  return async (args, input = '') => {
    const tool = await run(network.inside([...clientProgram, ...args]), { input });
    return { output: tool.output, complaints: tool.complaints, exitCode: (await tool.end()).code };
  };
}

/** What went well prints nothing but its output. */
function well(output: unknown, complaints: unknown = ''): Said {
  return { output: output as string, complaints: complaints as string, exitCode: 0 };
}

const gnuTime =
  'smallserv: the answer has 8 bytes instead of 4: using the first four (GNU inetd sends 8 on 64-bit machines)\n';

const peers = [
  {
    name: 'xinetd',
    daytime: /^\d\d [A-Z]{3} \d{4} \d\d:\d\d:\d\d \S+\n$/,
    timeLength: 4,
    timeComplaint: '',
    longestEcho: 2048,
  },
  {
    name: 'inetutils-inetd',
    daytime: /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\n$/,
    timeLength: 8,
    timeComplaint: gnuTime,
    longestEcho: 8192,
  },
] as const;

const transports = [
  ['TCP', []],
  ['UDP', ['--udp']],
] as const;

describe.each(peers)('smallserv against $name', ({ name, daytime, timeLength, timeComplaint, longestEcho }) => {
  it.each(transports)('daytime prints the answer over %s', async (_, udp) => {
    const smallserv = await start(name);
    for (const host of ['127.0.0.1', 'localhost', '127.0.0.1:daytime'])
      expect(await smallserv(['daytime', ...udp, host])).toEqual(well(expect.stringMatching(daytime)));
  });

  it.each(transports)(`time accepts a ${timeLength}-byte answer over %s`, async (_, udp) => {
    const smallserv = await start(name);
    const lines =
      /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \S+ \d{4}\noffset .+ s \(.+\), round trip [\d.]+ ms\n$/;
    expect(await smallserv(['time', ...udp, '127.0.0.1'])).toEqual(well(expect.stringMatching(lines), timeComplaint));

    const { output, exitCode } = await smallserv(['time', ...udp, '--json', '127.0.0.1']);
    const time = JSON.parse(output) as Time;
    expect(exitCode).toBe(0);
    expect(time).toMatchObject({ length: timeLength, peer: { address: '127.0.0.1', port: 37 } });
    // Both read the clock of this machine; a second may begin between the two.
    expect(Math.abs(time.offsetSeconds)).toBeLessThanOrEqual(1);
  });

  it('discard reports the bytes sent over TCP', async () => {
    const smallserv = await start(name);
    const { output, complaints, exitCode } = await smallserv(['discard', '127.0.0.1', '--bytes', '3MiB', '--json']);
    expect({ complaints, exitCode }).toEqual({ complaints: '', exitCode: 0 });
    expect(JSON.parse(output) as Discarded).toMatchObject({ bytes: 3 * 1024 * 1024, end: 'discarded' });
    expect(await smallserv(['discard', '127.0.0.1'], 'away with it\n')).toEqual(
      well(expect.stringMatching(/^127\.0\.0\.1:9: 13 bytes in /)),
    );
  });

  it('discard reports that delivery over UDP is unknown', async () => {
    const smallserv = await start(name);
    expect(await smallserv(['discard', '--udp', '127.0.0.1', '--bytes', '16KiB'])).toEqual(
      well(
        expect.stringMatching(
          /^127\.0\.0\.1:9: 32 datagrams, 16384 bytes in .+\nno errors reported; UDP does not confirm delivery\n$/,
        ),
      ),
    );
  });

  it('echo returns all of standard input over TCP', async () => {
    const smallserv = await start(name);
    const text = 'line after line\n'.repeat(40_000);
    expect(await smallserv(['echo', '127.0.0.1'], text)).toEqual(well(text));
  });

  it('echo returns standard input over UDP', async () => {
    const smallserv = await start(name);
    expect(await smallserv(['echo', '--udp', '127.0.0.1'], 'one\ntwo\n')).toEqual(well('one\ntwo\n'));
  });

  it.each(transports)('echo --count loses nothing over %s', async (protocol, udp) => {
    const smallserv = await start(name);
    const counted = ['echo', ...udp, '--count', '5', '--interval', '100ms', '127.0.0.1'];
    const { output, complaints, exitCode } = await smallserv(counted);
    expect({ complaints, exitCode }).toEqual({ complaints: '', exitCode: 0 });
    const [title, ...lines] = output.split('\n');
    expect(title).toBe(`echo 127.0.0.1:7 over ${protocol}, 512 bytes`);
    expect(lines.filter((line) => /^512 bytes from 127\.0\.0\.1:7: seq=[1-5] time=[\d.]+ ms$/.test(line))).toHaveLength(
      5,
    );
    expect(output).toMatch(/^--- 127\.0\.0\.1:7: 5 sent, 5 received, 0% lost, \d+ ms$/m);
    expect(output).toMatch(/^rtt min\/avg\/max\/mdev = /m);

    const json = await smallserv([...counted, '--json', '-q']);
    expect(json).toMatchObject({ complaints: '', exitCode: 0 });
    expect(JSON.parse(json.output) as EchoPingResult).toMatchObject({ sent: 5, received: 5, lost: 0, corrupted: 0 });
  });

  it(`echo --count detects datagrams truncated at ${longestEcho} bytes`, async () => {
    const smallserv = await start(name);
    const counted = ['echo', '--udp', '--count', '1', '--timeout', '2s', '127.0.0.1', '--size'];
    expect((await smallserv([...counted, String(longestEcho)])).exitCode).toBe(0);
    const { output, exitCode } = await smallserv([...counted, String(longestEcho + 1)]);
    expect(exitCode).toBe(1);
    expect(output).toContain(`${longestEcho} bytes from 127.0.0.1:7: seq=1 corrupted from offset ${longestEcho} on\n`);
    expect(output).toMatch(/^--- 127\.0\.0\.1:7: 1 sent, 0 received, 1 corrupted, 100% lost/m);
  });

  it.each([
    ['qotd', 17],
    ['systat', 11],
  ] as const)('%s exits with 2 if the service is not running', async (service, port) => {
    const smallserv = await start(name);
    const shipped = 1200 + port;
    const hint = `smallserv: the shipped config of smallservd has ${service} on port ${shipped}: smallserv ${service} 127.0.0.1:${shipped}\n`;
    expect(await smallserv([service, '127.0.0.1'])).toEqual({
      output: '',
      complaints: `smallserv: cannot connect to 127.0.0.1:${port}: connection refused\n${hint}`,
      exitCode: 2,
    });
    expect(await smallserv([service, '--udp', '127.0.0.1'])).toEqual({
      output: '',
      complaints: `smallserv: cannot reach 127.0.0.1:${port} over UDP: refused by 127.0.0.1 (port unreachable)\n${hint}`,
      exitCode: 2,
    });
  });
});

describe('qotd and systat run by xinetd as external programs', () => {
  it('are read to the end', async () => {
    const network = Network.make();
    const directory = temporaryDirectory();
    const quotation = join(directory, 'quotation');
    writeFileSync(quotation, 'Echo is the voice of a reflection in a mirror.\n\t-- Nathaniel Hawthorne\n');
    await startXinetd(network, directory, [
      { service: 'qotd', port: 17, server: '/bin/cat', args: [quotation] },
      { service: 'systat', port: 11, server: '/bin/ls', args: ['-1', '/proc/self/task'] },
    ]);
    const smallserv = smallservIn(network);
    expect(await smallserv(['qotd', '127.0.0.1'])).toEqual(
      well('Echo is the voice of a reflection in a mirror.\n\t-- Nathaniel Hawthorne\n'),
    );
    expect(await smallserv(['systat', '127.0.0.1'])).toEqual(well(expect.stringMatching(/^\d+\n$/)));
  });
});

describe('smallserv chargen --verify', () => {
  it('detects the 93-character pattern of xinetd', async () => {
    const smallserv = await start('xinetd');
    const { output, complaints, exitCode } = await smallserv(['chargen', '--verify', '127.0.0.1']);
    expect(exitCode).toBe(1);
    // Its ring begins with "!".
    expect(complaints).toBe('smallserv: not the pattern of RFC 864: at offset 0 expected 0x20 " ", got 0x21 "!"\n');
    expect(output).toMatch(/^\d+ bytes in .+ bytes\/s \(.+\)\n$/);

    // A datagram goes on where the one before stopped, and the third is the first that comes to the ring's end.
    const datagram = async (): Promise<Said> => smallserv(['chargen', '--udp', '--verify', '--json', '127.0.0.1']);
    const [first, , third] = [await datagram(), await datagram(), await datagram()];
    expect(first.exitCode).toBe(1);
    expect(first.complaints).toMatch(/: at offset 512 expected the end of the datagram, got 0x6b "k"\n$/);
    expect(JSON.parse(first.output) as Chargen).toMatchObject({ bytes: 1024, end: 'deviation' });
    expect(third.exitCode).toBe(1);
    expect(third.complaints).toMatch(/: at offset \d+ expected 0x7e "~", got 0x21 "!"\n$/);
  });

  it('accepts the pattern of GNU inetd', async () => {
    const smallserv = await start('inetutils-inetd');
    expect(await smallserv(['chargen', '--verify', '127.0.0.1'])).toEqual(
      well(expect.stringMatching(/^1048576 bytes in .+: all match RFC 864\n$/)),
    );
    expect(await smallserv(['chargen', '--verify', '--udp', '127.0.0.1'])).toEqual(
      well(expect.stringMatching(/^74 bytes in .+: all match RFC 864\n$/)),
    );
  });
});

/** A line of 72 characters. */
function charactersFrom(first: number): string {
  return Array.from({ length: 72 }, (_, column) => String.fromCharCode(first + column)).join('');
}

describe('smallserv chargen', () => {
  it('prints the requested lines as received and exits', async () => {
    const gnu = await start('inetutils-inetd');
    expect(await gnu(['chargen', '--lines', '2', '127.0.0.1'])).toEqual(
      well(`${charactersFrom(0x20)}\r\n${charactersFrom(0x21)}\r\n`),
    );
    const xinetd = await start('xinetd');
    expect(await xinetd(['chargen', '--lines', '2', '127.0.0.1'])).toEqual(
      well(`${charactersFrom(0x21)}\r\n${charactersFrom(0x22)}\r\n`),
    );
  });
});

it('discard on a terminal shows progress, and a summary on Ctrl-C', async () => {
  const network = Network.make();
  await startInetd('xinetd', network);
  const command = `exec ${clientProgram.join(' ')} discard 127.0.0.1 --bytes 1TiB`;
  const terminal = new Program(network.inside(['script', '--quiet', '--return', '--command', command, '/dev/null']), {
    directory: checkout,
    env: { TERM: 'xterm-256color' },
  });
  await terminal.says(/\r\d+%, \w+ left, \d+ bytes in /);
  terminal.type('\x03');
  const { code } = await terminal.end();
  expect(code).toBe(130);
  expect(terminal.output).toMatch(/127\.0\.0\.1:9: \d+ bytes in \d+\.\d{3} s, .*\r\nsmallserv: interrupted\r\n$/);
});
