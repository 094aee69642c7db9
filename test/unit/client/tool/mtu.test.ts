import { expect, it } from 'vitest';
import { serve } from '../../../support/daemon.ts';
import { runTool } from '../../../support/tool-process.ts';

it('prints what it found out', async () => {
  const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'] } });
  const { code, stdout, stderr } = await runTool(['mtu', `127.0.0.1:${daemon.target('echo', 'udp').port}`]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(
    /^path MTU {2}65535 bytes, there and back in one piece \(65507 bytes of data\)\nthere {5}65535 bytes\nback /,
  );
  expect(stdout).toContain('\nlargest   65535 bytes: nothing larger comes back\n');
});

it('mentions CAP_NET_RAW in the help', async () => {
  expect((await runTool(['mtu', '--help'])).stdout).toContain('CAP_NET_RAW');
});

it.each([
  [['--tries', '0'], 'from 1 to 20'],
  [['--icmp', '--source-port', '7'], 'ICMP has no source port'],
  [['--df'], 'unknown option'],
])('rejects %j', async (options, reason) => {
  const { code, stderr } = await runTool(['mtu', ...options, '127.0.0.1']);
  expect(code).toBe(64);
  expect(stderr).toContain(reason);
});
