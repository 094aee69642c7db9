import { expect, test } from 'vitest';
import { runTool } from '../../../support/tool-process.ts';

// What every machine knows; the rest of /etc/protocols is compared with getent in the system tests.
test.each([
  ['icmp', '1\n'],
  ['ICMP', '1\n'],
  ['17', 'udp\n'],
])('lookup-protocol %s', async (protocol, stdout) => {
  expect(await runTool(['lookup-protocol', protocol])).toEqual({ code: 0, stdout, stderr: '' });
});

test('prints JSON', async () => {
  const { stdout } = await runTool(['lookup-protocol', '--json', 'tcp']);
  expect(JSON.parse(stdout)).toEqual({ outcome: 'ok', name: 'tcp', number: 6, aliases: ['TCP'] });
});

test.each(['no-such-protocol', '99999'])('lookup-protocol %s fails', async (protocol) => {
  const stderr = `smallserv: /etc/protocols has no protocol "${protocol}"\n`;
  expect(await runTool(['lookup-protocol', protocol])).toEqual({ code: 2, stdout: '', stderr });
});
