import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip', 'nc', 'haproxy');

/** HAProxy passes its port 2000 on to ours, and says by the protocol whom it speaks for. */
const haproxyConfig = (version: string): string => `
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen echo
  bind 127.0.0.1:2000
  bind [::1]:2000
  server smallservd 127.0.0.1:2001 ${version} check inter 100ms
`;

it.each(['send-proxy', 'send-proxy-v2'])('serves only clients that HAProxy announces with %s', async (version) => {
  const network = Network.make();
  const peers = new Peers(network);
  const rules = ['listen=[tcp://127.0.0.1:2001]', 'proxyProtocol.from=[127.0.0.1]', 'deny=[127.0.0.9]'];
  const sets = rules.flatMap((rule) => ['--set', `services.echo.${rule}`]);
  const daemon = new DaemonProgram(['--config', '/dev/null', ...sets], (argv) => network.inside(argv));
  await daemon.ready();
  const file = join(temporaryDirectory(), 'haproxy.cfg');
  writeFileSync(file, haproxyConfig(version));
  const haproxy = new Program(network.inside(['haproxy', '-db', '-f', file]));
  // Its health checks mostly are resets before anybody looks: what they say of themselves cannot be waited for.
  while (haproxy.running && (await peers.tcp('127.0.0.1', 2000, 'up\n')) !== 'up\n') await pause(50);
  expect(haproxy.running, haproxy.complaints).toBe(true);

  expect(await peers.tcp('127.0.0.1', 2000, 'hello\n')).toBe('hello\n');
  expect(await peers.tcp('::1', 2000, 'x'.repeat(300_000))).toBe('x'.repeat(300_000));
  const denied = peers.talk('-N', '-w', '5', '-s', '127.0.0.9', '127.0.0.1', '2000');
  denied.type('hello\n');
  denied.endInput();
  await denied.end();
  expect(denied.output).toBe('');

  const named = (start: string) =>
    daemon.line(({ msg, peer, via }) => msg === 'closed' && String(peer).startsWith(start) && via !== peer);
  expect(await named('127.0.0.1:')).toMatchObject({
    bytesIn: 3,
    bytesOut: 3,
    via: expect.stringMatching(/^127\.0\.0\.1:/),
  });
  expect(await named('[::1]:')).toMatchObject({ bytesIn: 300_000, via: expect.stringMatching(/^127\.0\.0\.1:/) });

  // Nobody else is listened to, and nothing else is a header.
  expect(await peers.tcp('127.0.0.1', 2001, 'hello\n')).toBe('');
  daemon.signal('SIGTERM');
  await daemon.end();
  const refusals = daemon.lines.flatMap(({ refused }) => (refused === undefined ? [] : [refused as object]));
  expect(Object.assign({}, ...refusals)).toMatchObject({ denied: 1, 'proxy-header': expect.any(Number) });
  expect(haproxy.running).toBe(true);
});
