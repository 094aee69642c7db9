import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, runToEnd } from '../../../support/daemon-process.ts';
import { unprivileged } from '../../../support/nobody.ts';
import { runTool } from '../../../support/tool-process.ts';

/** What it does with the right to a raw socket is tested in test/system. */
describe('smallserv ping', () => {
  it('mentions CAP_NET_RAW and shows examples in the help', async () => {
    const { code, stdout } = await runTool(['ping', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('CAP_NET_RAW');
    expect(stdout).toMatch(/Examples:\n {2}smallserv ping /);
  });

  it.each([
    [['--count', '0'], 'of at least 1'],
    [['--size', '65528'], 'from 0 to 65527'],
    [['--size', '65508'], 'the size is 65508 bytes: 127.0.0.1 takes at most 65507 bytes over IPv4'],
    [['--ttl', '0'], 'from 1 to 255'],
    [['--ttl', '256'], 'from 1 to 255'],
    [['--interval', '0'], '"0" is not valid for --interval: expected a duration from 1ms to 24d'],
    [['-w', '1x'], '"1x" is not valid for --deadline: expected a duration from 1ms to 24d'],
    [['-4', '-6'], '-4 cannot be used with -6'],
  ])('rejects %j', async (options, reason) => {
    const { code, stdout, stderr } = await runTool(['ping', ...options, '127.0.0.1']);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^smallserv: .*\n$/);
    expect(stderr).toContain(reason);
  });

  it.each(['127.0.0.1:7', '224.0.0.1', 'not a host'])('rejects %j, which is not a single host', async (host) => {
    const { code, stderr } = await runTool(['ping', host]);
    expect(code).toBe(64);
    expect(stderr).toMatch(/^smallserv: .*\n$/);
  });

  it('exits 2 for an address of the other family', async () => {
    const end = await runTool(['ping', '-6', '127.0.0.1']);
    expect(end).toEqual({
      code: 2,
      stdout: '',
      stderr: 'smallserv: 127.0.0.1 is an IPv4 address: expected an IPv6 address or a name\n',
    });
  });

  it('exits 77 with remedies if it lacks the privilege or the addon', async () => {
    const { command = [process.execPath, join(root, 'dist/smallservd.js')], ...options } = unprivileged();
    const [program, script = ''] = command;
    const tool = [program, join(dirname(script), 'smallserv.js')] as const;
    const { code, stdout, stderr } = await runToEnd(['ping', '127.0.0.1', '-c', '1'], { ...options, command: tool });
    expect({ code, stdout }).toEqual({ code: 77, stdout: '' });
    expect(stderr).toContain('Do one of these:\n');
    expect(stderr.match(/^smallserv: {3}[123]\. .+$/gm)).toHaveLength(3);
    expect(stderr).not.toContain('    at ');
  });
});
