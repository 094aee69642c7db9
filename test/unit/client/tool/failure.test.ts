import { expect, test } from 'vitest';
import { wantsJson } from '../../../../src/client/tool/wants-json.ts';
import { silentTcpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { kernelSockets } from '../../../support/kernel.ts';
import { until } from '../../../support/wait.ts';

const aTime = expect.any(Number) as number;

test('a run that fails prints one document with --json', async () => {
  const target = `127.0.0.1:${await freePort()}`;
  const { code, stdout, stderr } = await runTool(['daytime', '--json', target]);
  const error = `cannot connect to ${target}: connection refused`;
  const addresses = [{ address: '127.0.0.1', outcome: 'refused', elapsedMs: aTime }];
  expect(JSON.parse(stdout)).toEqual({ outcome: 'refused', error, target, addresses, elapsedMs: aTime });
  expect([code, stderr]).toEqual([2, `smallserv: ${error}\n`]);
});

test('so does one that is interrupted', async () => {
  const { port } = await silentTcpServer();
  const tool = new ToolProcess(['daytime', '--json', `127.0.0.1:${port}`]);
  await until(() => kernelSockets(port).some(({ state }) => state === 'syn-sent'), 'the attempt');
  tool.signal('SIGINT');
  const { code, stdout } = await tool.ended();
  const addresses = [{ address: '127.0.0.1', outcome: 'interrupted', elapsedMs: aTime }];
  expect([code, JSON.parse(stdout)]).toMatchObject([130, { outcome: 'interrupted', addresses }]);
});

test.each([
  [['daytime', '--json'], 64, 'invalid', "missing required argument 'host'"],
  [['daytime', 'localhost', '--json', '--timeout', '5x'], 64, 'invalid', /^"5x" is not valid for --timeout: /],
  [['chargen', '--json', '--bytes', '0', 'localhost'], 64, 'invalid', /^the number of bytes is 0/],
  [['echo', 'h', '--format', 'csv', '--json', '-i', '1'], 64, 'invalid', '--json cannot be used with --format csv'],
  [['ip', '--json', '192.0.2.256'], 1, 'invalid', /^invalid address "192\.0\.2\.256"/],
  [['lookup-port', '--json', 'tcp', 'nothing'], 2, 'no-name', '/etc/services has no service "nothing" for tcp'],
  [['lookup-host', '--json', '-6', '127.0.0.1'], 2, 'no-name', /^127\.0\.0\.1 is an IPv4 address/],
] as const)('%j prints one document', async (args, code, outcome, error) => {
  const ended = await runTool(args);
  const document = JSON.parse(ended.stdout) as { readonly outcome: string; readonly error: string };
  expect([ended.code, document.outcome]).toEqual([code, outcome]);
  // Nothing was tried.
  expect(document).not.toHaveProperty('addresses');
  expect(document.error).toMatch(error);
});

test('help is not a failure', async () => {
  const { code, stdout } = await runTool(['daytime', '--json', '--help']);
  expect([code, stdout.startsWith('Usage: ')]).toEqual([0, true]);
});

test.each([
  [['daytime', '--json'], true],
  [['daytime', 'host', '--json'], true],
  [['daytime', 'host'], false],
  [['daytime', '--', '--json'], false],
  [['--json', 'daytime'], false],
  [['echo', '--format', 'json'], true],
  [['echo', '--format=json'], true],
  [['echo', '--format', 'csv'], false],
  [['daytime', 'json'], false],
  [['nothing', '--json'], false],
  [[], false],
])('%j asks for JSON: %s', (args, expected) => {
  expect(wantsJson(args)).toBe(expected);
});
