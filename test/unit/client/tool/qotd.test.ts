import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { serve } from '../../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { runTool } from '../../../support/tool-process.ts';

const file = fileURLToPath(new URL('../../../wire/quotation.txt', import.meta.url));

describe('smallserv qotd', () => {
  test('prints the quotation', async () => {
    const daemon = await serve({ qotd: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'], file } });
    for (const [protocol, ...options] of [['tcp'], ['udp', '-u']] as const) {
      const { port } = daemon.target('qotd', protocol);
      const { code, stdout, stderr } = await runTool(['qotd', ...options, `127.0.0.1:${port}`]);
      expect(stdout).toMatch(/^[ -~]+\n$/);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  test('prints answers of any length and encoding with local line endings', async () => {
    const host = await answerTcp(Buffer.from('first\r\nsecond \u00e9\r\n', 'latin1'));
    expect(await runTool(['qotd', host])).toEqual({ code: 0, stdout: 'first\nsecond \u00e9\n', stderr: '' });
    const long = await answerUdp(() => ['x'.repeat(2000)]);
    expect(await runTool(['qotd', '-u', long])).toEqual({ code: 0, stdout: `${'x'.repeat(2000)}\n`, stderr: '' });
  });

  test('prints JSON', async () => {
    const { stdout } = await runTool(['qotd', '--json', await answerTcp('first\r\n')]);
    expect(JSON.parse(stdout)).toMatchObject({ text: 'first', end: 'finished', peer: { address: '127.0.0.1' } });
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('a server that does not finish', async () => {
    const host = await serveTcp((socket) => void socket.write('half a'));
    expect(await runTool(['qotd', '--timeout', '200ms', host])).toEqual({
      code: 1,
      stdout: 'half a\n',
      stderr: 'smallserv: the server did not finish: this may not be all\n',
    });
  });

  test('an answer that is too long', async () => {
    const host = await answerTcp(Buffer.alloc(100_000, 'x'));
    const { code, stdout, stderr } = await runTool(['qotd', host]);
    expect({ code, length: stdout.length }).toEqual({ code: 1, length: 65_537 });
    expect(stderr).toBe('smallserv: there is more: only the first 64 KiB were read\n');
  });

  test('an empty answer, a closed port and a silent peer', async () => {
    expect(await runTool(['qotd', await answerTcp('')])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^smallserv: .* sent no quotation\n$/),
    });
    expect(await runTool(['qotd', `127.0.0.1:${await freePort()}`])).toMatchObject({ code: 2, stdout: '' });
    const silent = `127.0.0.1:${await takeUdpPort()}`;
    expect(await runTool(['qotd', '-u', '--timeout', '100ms', silent])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^smallserv: .* is silent over UDP.*\n$/),
    });
  });
});
