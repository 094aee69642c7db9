import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip', 'nc', 'dnsdist');

const mirror = fileURLToPath(new URL('../support/services/dns-mirror.js', import.meta.url));

/** dnsdist passes its port 2000 on to ours, and says with each datagram whom it speaks for. */
const dnsdistConfig = `
setLocal("127.0.0.1:2000")
addLocal("[::1]:2000")
setSecurityPollSuffix("")
newServer({address="127.0.0.1:2001", useProxyProtocol=true}):setUp()
`;

/** Asks for the address of example.com. All of its bytes are ASCII. */
const query = '\x124\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01';

it('serves only clients that dnsdist announces', async () => {
  const network = Network.make();
  const peers = new Peers(network);
  const rules = [
    `module=${mirror}`,
    'listen=[udp://127.0.0.1:2001]',
    'proxyProtocol.from=[127.0.0.1]',
    'deny=[127.0.0.9]',
  ];
  const sets = rules.flatMap((rule) => ['--set', `services.dns.${rule}`]);
  const daemon = new DaemonProgram(['--config', '/dev/null', ...sets], (argv) => network.inside(argv));
  await daemon.ready();
  const file = join(temporaryDirectory(), 'dnsdist.conf');
  writeFileSync(file, dnsdistConfig);
  const dnsdist = new Program(network.inside(['dnsdist', '--supervised', '--disable-syslog', '-C', file]));
  await dnsdist.says(/Listening on \[::1\]:2000/);

  const answerTo = async (host: string, ...from: readonly string[]): Promise<Buffer> => {
    const client = peers.talk('-u', '-w', '2', ...from, host, '2000');
    client.type(query);
    await client.end();
    return Buffer.from(client.bytes);
  };
  const response = Buffer.from(query, 'latin1');
  response[2] = 0x81;
  expect(await answerTo('127.0.0.1')).toEqual(response);
  expect(await answerTo('::1')).toEqual(response);
  expect(await answerTo('127.0.0.1', '-s', '127.0.0.9')).toHaveLength(0);
  // Nobody else is listened to.
  expect(await peers.udp('127.0.0.1', 2001, query)).toBe('');

  daemon.signal('SIGTERM');
  await daemon.end();
  const dropped = daemon.lines.flatMap((line) => (line['dropped'] === undefined ? [] : [line['dropped'] as object]));
  expect(dropped).toEqual([{ denied: 1, 'proxy-header': 1 }]);
  expect(dnsdist.running).toBe(true);
});
