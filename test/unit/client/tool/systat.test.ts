import { describe, expect, test } from 'vitest';
import { serve } from '../../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

describe('smallserv systat', () => {
  test('prints one user per line', async () => {
    const listen = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];
    const daemon = await serve({ systat: { listen, show: 'text', text: 'alice\nbob' } });
    for (const [protocol, ...options] of [['tcp'], ['udp', '-u']] as const) {
      const { port } = daemon.target('systat', protocol);
      const ended = await runTool(['systat', ...options, `127.0.0.1:${port}`]);
      expect(ended).toEqual({ code: 0, stdout: 'alice\nbob\n', stderr: '' });
    }
  });

  test('prints the lines of all datagrams', async () => {
    const host = await answerUdp(() => ['one\r\n', 'two\r\n', 'three\r\n']);
    expect(await runTool(['systat', '-u', host])).toEqual({ code: 0, stdout: 'one\ntwo\nthree\n', stderr: '' });
  });

  test('prints nothing if the answer is empty', async () => {
    expect(await runTool(['systat', await answerTcp('')])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('prints JSON', async () => {
    const { stdout } = await runTool(['systat', '--json', await answerTcp('one\r\ntwo\r\n')]);
    expect(JSON.parse(stdout)).toMatchObject({ text: 'one\r\ntwo', end: 'finished' });
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('a closed port and a silent peer', async () => {
    expect(await runTool(['systat', `127.0.0.1:${await freePort()}`])).toMatchObject({ code: 2, stdout: '' });
    const silent = `127.0.0.1:${await takeUdpPort()}`;
    expect(await runTool(['systat', '-u', '--timeout', '100ms', silent])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^smallserv: .* is silent over UDP.*\n$/),
    });
  });

  test('Ctrl-C', async () => {
    let isThere = false;
    const host = await serveTcp(() => {
      isThere = true;
    });
    const tool = new ToolProcess(['systat', host]);
    await until(() => isThere, 'the client');
    tool.signal('SIGINT');
    expect(await tool.ended()).toEqual({ code: 130, stdout: '', stderr: 'smallserv: interrupted\n' });
  });
});
