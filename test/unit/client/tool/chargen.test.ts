import { describe, expect, test } from 'vitest';
import { patternPieces } from '../../../../src/client/chargen-pattern.ts';
import { serve } from '../../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

const figures = String.raw`\d+ bytes in \d+\.\d{3} s, \d+ bytes/s \(\d+\.\d\d MiB/s\)`;

function pattern(length: number): string {
  return Buffer.concat([...patternPieces(length)]).toString('latin1');
}

async function smallservd(): Promise<{ tcp: string; udp: string; closed: () => number }> {
  const daemon = await serve({ chargen: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { port: tcp } = daemon.target('chargen', 'tcp');
  const { port: udp } = daemon.target('chargen', 'udp');
  return { tcp: `127.0.0.1:${tcp}`, udp: `127.0.0.1:${udp}`, closed: () => daemon.log.closed().length };
}

describe('smallserv chargen', () => {
  test('prints the requested amount, then closes the connection', async () => {
    const { tcp, closed } = await smallservd();
    for (const [options, length] of [
      [[], 740],
      [['--lines', '3'], 222],
      [['--bytes', '100KiB'], 102_400],
    ] as const) {
      const ended = await runTool(['chargen', tcp, ...options]);
      expect(ended).toEqual({ code: 0, stdout: pattern(length), stderr: '' });
    }
    await until(() => closed() === 3, 'the end of the connections');
  });

  test('prints one datagram over UDP', async () => {
    const { udp } = await smallservd();
    const { code, stdout, stderr } = await runTool(['chargen', '-u', udp]);
    expect(stdout).toBe(pattern(stdout.length));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('verifies the pattern and prints the rate', async () => {
    const { tcp, udp } = await smallservd();
    const { code, stdout, stderr } = await runTool(['chargen', '--verify', tcp]);
    expect(stdout).toMatch(new RegExp(`^${figures}: all match RFC 864\n$`));
    expect(stdout).toMatch(/^1048576 bytes/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await runTool(['chargen', '--verify', '-u', udp])).toMatchObject({ code: 0, stderr: '' });
  });

  test('prints JSON instead of the characters', async () => {
    const { tcp } = await smallservd();
    const { code, stdout } = await runTool(['chargen', '--json', '--verify', '--lines', '5', tcp]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ bytes: 370, end: 'enough' });
  });
});

describe('a server that sends a wrong pattern', () => {
  test('is reported with the offset of the first wrong byte', async () => {
    const host = await answerTcp(`${pattern(80)}"${pattern(500).slice(81)}`);
    const { code, stdout, stderr } = await runTool(['chargen', '--verify', host]);
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`^${figures}\n$`));
    const expected = JSON.stringify(pattern(81).at(-1));
    expect(stderr).toMatch(/^smallserv: not the pattern of RFC 864: at offset 80 expected 0x27 "'", got 0x22 "\\""\n$/);
    expect(stderr).toContain(expected);
  });

  test('is reported if a datagram is too long', async () => {
    const host = await answerUdp(() => [pattern(1024)]);
    const { code, stderr } = await runTool(['chargen', '--verify', '-u', host]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^smallserv: .* at offset 512 expected the end of the datagram, got 0x[0-9a-f]{2}.*\n$/);
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('a stream that ends early', async () => {
    const { code, stdout, stderr } = await runTool(['chargen', await answerTcp(pattern(100))]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: pattern(100) });
    expect(stderr).toMatch(
      new RegExp(`^smallserv: the server closed after ${figures}, but a chargen stream must not end\n$`),
    );
  });

  test('a stream without the end of a line', async () => {
    const host = await serveTcp((socket) => {
      const send = (): void => {
        while (socket.write('x'.repeat(10_000)));
      };
      socket.on('drain', send);
      send();
    });
    const { code, stdout, stderr } = await runTool(['chargen', host]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^x{65537,}$/);
    const says = `^smallserv: the server sent a line of more than 65536 bytes, stopped after ${figures}\n$`;
    expect(stderr).toMatch(new RegExp(says));
    const { stdout: document } = await runTool(['chargen', '--json', host]);
    expect(JSON.parse(document)).toMatchObject({ outcome: 'wrong-answer', end: 'endless-line' });
  });

  test('a stream that stalls', async () => {
    const host = await serveTcp((socket) => void socket.write(pattern(100)));
    const { code, stdout, stderr } = await runTool(['chargen', '--timeout', '200ms', host]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: pattern(100) });
    expect(stderr).toMatch(new RegExp(`^smallserv: the server fell silent after ${figures}\n$`));
  });

  test('an empty stream, a closed port and a silent peer', async () => {
    expect(await runTool(['chargen', await answerTcp('')])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^smallserv: .* closed without sending anything\n$/),
    });
    expect(await runTool(['chargen', `127.0.0.1:${await freePort()}`])).toMatchObject({ code: 2, stdout: '' });
    const silent = `127.0.0.1:${await takeUdpPort()}`;
    expect(await runTool(['chargen', '-u', '--timeout', '100ms', silent])).toMatchObject({ code: 1, stdout: '' });
  });

  test.each([
    ['--bytes', '1', '--lines', '1'],
    ['-u', '--lines', '1'],
    ['--lines', '0'],
    ['--bytes', 'many'],
  ])('invalid options %s %s', async (...options) => {
    const { code, stdout, stderr } = await runTool(['chargen', '127.0.0.1:1', ...options]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^smallserv: .*\n$/);
  });
});

describe('during a stream', () => {
  test('Ctrl-C prints the totals so far', async () => {
    const { tcp } = await smallservd();
    const tool = new ToolProcess(['chargen', '--bytes', '1TiB', tcp]);
    await until(() => tool.stdout.length > 0, 'the first characters');
    tool.signal('SIGINT');
    const { code, stderr } = await tool.ended();
    expect(code).toBe(130);
    expect(stderr).toMatch(new RegExp(`^smallserv: interrupted after ${figures}\n$`));
  });

  test('Ctrl-C prints the totals so far with --verify', async () => {
    let taken = 0;
    const host = await serveTcp((socket) => {
      const block = Buffer.from(pattern(7030));
      const send = (): void => {
        while (socket.write(block)) taken += block.length;
      };
      socket.on('drain', send);
      send();
    });
    const tool = new ToolProcess(['chargen', '--verify', '--bytes', '1TiB', host]);
    // More than fits the buffers of both sides: the tool has read some.
    await until(() => taken > 64 * 1024 * 1024, 'a long stream');
    tool.signal('SIGINT');
    const { code, stdout, stderr } = await tool.ended();
    expect(code).toBe(130);
    expect(stdout).toMatch(new RegExp(`^${figures}\n$`));
    expect(stderr).toMatch(/^smallserv: interrupted after \d+ bytes\n$/);
  });

  test('a closed output pipe ends it silently', async () => {
    const { tcp } = await smallservd();
    const tool = new ToolProcess(['chargen', '--bytes', '1TiB', tcp]);
    await until(() => tool.stdout.length > 0, 'the first characters');
    tool.hangUp();
    expect(await tool.ended()).toMatchObject({ code: 0, stderr: '' });
  });
});
