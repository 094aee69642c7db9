import { expect, test } from 'vitest';
import { shippedPortHint, shippedPorts } from '../../../../src/client/tool/shipped-port.ts';
import { SmallservdError } from '../../../../src/errors.ts';
import { read } from '../../../repository/files.ts';
import { runTool } from '../../../support/tool-process.ts';

const refused = new SmallservdError('CONNECT_FAILED', 'connection refused', {
  outcome: 'refused',
});

test('the ports are those of the shipped config', () => {
  const config = read('config/smallservd.yaml');
  for (const [service, port] of Object.entries(shippedPorts))
    expect(config).toMatch(
      new RegExp(`\\n  ${service}:\\n(?:    .*\\n)*?    listen: \\["(?:tcp|udp)://localhost:${port}"`),
    );
  expect(Object.keys(shippedPorts)).toHaveLength(8);
});

test.each(['localhost', 'echo.localhost', '127.0.0.1', '127.1.2.3'])('%s gets a hint', (host) => {
  expect(shippedPortHint('echo', host, refused)).toBe(
    `the shipped config of smallservd has echo on port 1201: smallserv echo ${host}:1201`,
  );
});

test('an IPv6 address gets brackets', () => {
  expect(shippedPortHint('time', '::1', refused)).toMatch(/smallserv time \[::1\]:1237$/);
});

test.each([
  ['echo', 'localhost:7', refused],
  ['echo', 'host.example', refused],
  ['echo', '192.0.2.1', refused],
  ['load', 'localhost', refused],
  ['echo', 'localhost', new SmallservdError('NO_ANSWER', 'silence')],
  ['echo', 'localhost', new SmallservdError('CONNECT_FAILED', 'no route to the host')],
])('%s of %s after another error gets none', (service, host, error) => {
  expect(shippedPortHint(service, host, error)).toBeUndefined();
});

test('a refused tool says it after its error', async () => {
  // Nothing listens on port 19 of this address: the tests bind no low port.
  const { code, stderr } = await runTool(['chargen', '127.9.9.9']);
  expect([code, stderr]).toEqual([
    2,
    'smallserv: cannot connect to 127.9.9.9:19: connection refused\n' +
      'smallserv: the shipped config of smallservd has chargen on port 1219: smallserv chargen 127.9.9.9:1219\n',
  ]);
});
