import { expect, test } from 'vitest';
import { runTool } from '../../../support/tool-process.ts';

// Our own services, which every machine knows; those of /etc/services are compared with getent in the system tests.
test.each([
  [['tcp', 'daytime'], '13\n'],
  [['udp6', 'qotd'], '17\n'],
  [['udp', '19'], 'chargen\n'],
])('lookup-port %j', async (args, stdout) => {
  expect(await runTool(['lookup-port', ...args])).toEqual({ code: 0, stdout, stderr: '' });
});

test('prints JSON', async () => {
  const { stdout } = await runTool(['lookup-port', '--json', 'tcp4', '13']);
  expect(JSON.parse(stdout)).toMatchObject({ transport: 'tcp4', protocol: 'tcp', name: 'daytime', port: 13 });
});

test.each([
  [['tcp', 'no-such-service'], 2, '/etc/services has no service "no-such-service" for tcp'],
  [['tcp', '0'], 64, '"0" is not a port: expected 1 to 65535, or a name'],
  [['ip', 'daytime'], 64, '"ip" is not a transport: expected one of tcp, tcp4, tcp6, udp, udp4, udp6'],
  [['tcp'], 64, "missing required argument 'service'"],
])('lookup-port %j fails', async (args, code, message) => {
  const end = await runTool(['lookup-port', ...args]);
  expect([end.code, end.stdout, end.stderr.replace(/^smallserv: ([^\n]*)\n$/, '$1')]).toEqual([code, '', message]);
});
