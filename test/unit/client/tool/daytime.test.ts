import { describe, expect, test } from 'vitest';
import { serve } from '../../../support/daemon.ts';
import { answerTcp, serveTcp } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

async function smallservd(): Promise<{ tcp: string; udp: string }> {
  const daemon = await serve({ daytime: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { port: tcp } = daemon.target('daytime', 'tcp');
  const { port: udp } = daemon.target('daytime', 'udp');
  return { tcp: `127.0.0.1:${tcp}`, udp: `127.0.0.1:${udp}` };
}

describe('smallserv daytime', () => {
  test('prints the line from the server', async () => {
    const { tcp, udp } = await smallservd();
    for (const args of [[tcp], ['-u', udp], ['-4', tcp]]) {
      const { code, stdout, stderr } = await runTool(['daytime', ...args]);
      expect(stdout).toMatch(/^[A-Z][a-z]+day, [A-Z][a-z]+ \d{1,2}, \d{4} \d\d:\d\d:\d\d-\S+\n$/);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  test('prints JSON', async () => {
    const { tcp } = await smallservd();
    const { stdout } = await runTool(['daytime', '--json', tcp]);
    expect(JSON.parse(stdout)).toMatchObject({ text: expect.stringContaining('day'), peer: { address: '127.0.0.1' } });
  });

  test('passes escape sequences and non-ASCII bytes through to a pipe', async () => {
    const host = await answerTcp(Buffer.from('\u001b[31mred \u00e9\r\n', 'latin1'));
    expect((await runTool(['daytime', host])).stdout).toBe('\u001b[31mred \u00e9\n');
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('a closed port', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    expect(await runTool(['daytime', host])).toEqual({
      code: 2,
      stdout: '',
      stderr: `smallserv: cannot connect to ${host}: connection refused\n`,
    });
    expect(await runTool(['daytime', '-u', host])).toEqual({
      code: 2,
      stdout: '',
      stderr: `smallserv: cannot reach ${host} over UDP: refused by 127.0.0.1 (port unreachable)\n`,
    });
  });

  test('a silent UDP peer', async () => {
    const host = `127.0.0.1:${await takeUdpPort()}`;
    expect(await runTool(['daytime', '-u', '--timeout', '100ms', host])).toEqual({
      code: 1,
      stdout: '',
      stderr: `smallserv: ${host} is silent over UDP: no answer to one datagram within 100ms\n`,
    });
  });

  test('an empty answer', async () => {
    const host = await answerTcp('');
    expect(await runTool(['daytime', host])).toEqual({
      code: 1,
      stdout: '',
      stderr: `smallserv: ${host} sent no time\n`,
    });
  });

  test('an invalid host and an address of the wrong family', async () => {
    expect(await runTool(['daytime', 'a b'])).toMatchObject({ code: 64, stdout: '' });
    expect(await runTool(['daytime', '-6', '127.0.0.1:13'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'smallserv: 127.0.0.1 is an IPv4 address: expected an IPv6 address or a name\n',
    });
  });

  test('Ctrl-C', async () => {
    let isThere = false;
    const host = await serveTcp(() => {
      isThere = true;
    });
    const tool = new ToolProcess(['daytime', host]);
    await until(() => isThere, 'the client');
    tool.signal('SIGINT');
    expect(await tool.ended()).toEqual({ code: 130, stdout: '', stderr: 'smallserv: interrupted\n' });
  });
});

test('shows examples in the help', async () => {
  const { code, stdout } = await runTool(['daytime', '--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/Examples:\n {2}smallserv daytime /);
});
