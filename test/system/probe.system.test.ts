/** smallserv probe against a firewall, and against servers that are not ours. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout, clientProgram, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program, run } from './program.ts';
import {
  at,
  type Ended,
  echoPort,
  families,
  makePath,
  nft,
  nowhere,
  router,
  server,
  smallserv,
} from './routed-path.ts';

needs('ip', 'nft', 'nc', 'openssl', 'script', 'dnsmasq');

const rejected = { prohibited: 2001, reset: 2002, dropped: 2003, unreachable: 2004 } as const;

const firewall = `table inet filter {
  chain forward {
    type filter hook forward priority 0;
    meta l4proto { tcp, udp } th dport ${rejected.prohibited} reject with icmpx type admin-prohibited
    tcp dport ${rejected.reset} reject with tcp reset
    meta l4proto { tcp, udp } th dport ${rejected.dropped} drop
    meta l4proto { tcp, udp } th dport ${rejected.unreachable} reject with icmpx type host-unreachable
  }
}`;

/** How each line of JSON of a run begins: the target and its outcome, in the order of the targets. */
function outcomesIn(output: string): readonly (readonly [target: string, outcome: string, error: string])[] {
  const lines = output.trimEnd().split('\n').slice(0, -1);
  return lines
    .map((line) => JSON.parse(line) as { target: string; outcome: string; error?: string })
    .map(({ target, outcome, error = '' }) => [target, outcome, error] as const);
}

it('tells all outcomes of a path apart, of TCP and UDP ports at the same time', async () => {
  const { client, between } = await makePath();
  nft(between, firewall);
  const cases = families.flatMap((family) =>
    (['', '/udp'] as const).flatMap((suffix) => {
      const by = `prohibited by ${router[family]} (administratively prohibited)`;
      return [
        [at(server, family, echoPort) + suffix, 'ok', ''],
        [
          at(server, family, 7) + suffix,
          'refused',
          suffix === '' ? 'connection refused' : `by ${server[family]} (port`,
        ],
        [at(server, family, rejected.prohibited) + suffix, 'prohibited', by],
        [at(server, family, rejected.dropped) + suffix, 'timeout', suffix === '' ? 'within 1s' : '(open or filtered)'],
        [at(server, family, rejected.unreachable) + suffix, 'unreachable', `unreachable, says ${router[family]}`],
        [at(nowhere, family, 7) + suffix, 'unreachable', `says ${router[family]}`],
        ...(suffix === '' ? [[at(server, family, rejected.reset), 'refused', 'connection refused'] as const] : []),
      ] as const;
    }),
  );
  // What is dropped is waited for. A router without a route tells it to one host once a second.
  const probe = async (timeout: string, isMeant: (outcome: string) => boolean): Promise<Ended> => {
    const targets = cases.filter(([, outcome]) => isMeant(outcome)).map(([target]) => target);
    return smallserv(client, 'probe', '--json', '--timeout', timeout, ...targets);
  };
  const [told, silent] = await Promise.all([
    probe('20s', (outcome) => outcome !== 'timeout'),
    probe('1s', (outcome) => outcome === 'timeout'),
  ]);
  const found = new Map(
    [told, silent].flatMap(({ output }) => outcomesIn(output)).map(([target, ...rest]) => [target, rest]),
  );
  expect(cases.map(([target]) => [target, found.get(target)?.[0]])).toEqual(
    cases.map(([target, outcome]) => [target, outcome]),
  );
  for (const [target, , error] of cases) expect(found.get(target)?.[1], target).toContain(error);
  expect([told.code, told.complaints, silent.code, silent.complaints]).toEqual([2, '', 1, '']);
});

/** Makes a key and a certificate for a name with openssl(1). */
function makeCertificate(directory: string, name: string, days: number): void {
  const openssl = (...args: readonly string[]): void =>
    void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  openssl('req', ...key, '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-out', `${name}.csr`);
  const sign = ['-signkey', `${name}.key`, '-days', String(days), '-copy_extensions', 'copy'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...sign, '-out', `${name}.pem`);
}

it('reads versions, ciphers and certificates of openssl s_server', async () => {
  const network = Network.make();
  const directory = temporaryDirectory();
  makeCertificate(directory, 'localhost', 90);
  makeCertificate(directory, 'expired', -1);
  const serve = async (port: number, name: string, ...options: readonly string[]): Promise<void> => {
    const files = ['-key', join(directory, `${name}.key`), '-cert', join(directory, `${name}.pem`)];
    const argv = ['openssl', 's_server', '-accept', String(port), ...files, ...options];
    await new Program(network.inside(argv)).says(/ACCEPT/);
  };
  await serve(4431, 'localhost', '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256');
  await serve(4432, 'localhost', '-tls1_3');
  await serve(4433, 'expired');
  const probe = async (...args: readonly string[]): Promise<readonly [number | null, string]> => {
    const trusted = ['env', `NODE_EXTRA_CA_CERTS=${join(directory, 'localhost.pem')}`];
    const tool = await run(network.inside([...trusted, ...clientProgram, 'probe', '--tls', ...args]));
    return [(await tool.ended).code, tool.output];
  };
  const [old, current, wrongName, expired, accepted] = await Promise.all([
    probe('localhost:4431'),
    probe('localhost:4432'),
    probe('127.0.0.1:4431'),
    probe('localhost:4433'),
    probe('localhost:4433', '--insecure'),
  ]);
  expect(old).toEqual([0, expect.stringMatching(/ TLSv1\.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 89 days\n$/)]);
  expect(current).toEqual([0, expect.stringMatching(/ TLSv1\.3 TLS_AES_256_GCM_SHA384, 89 days\n$/)]);
  expect(wrongName).toEqual([1, expect.stringContaining('wrong-answer')]);
  expect(wrongName[1]).toContain('the certificate is not for 127.0.0.1');
  expect(expired).toEqual([1, expect.stringContaining('wrong-answer')]);
  expect(accepted).toEqual([0, expect.stringMatching(/ -\d days, the certificate /)]);
});

it('reads the greeting of nc(1)', async () => {
  const network = Network.make();
  const greeter = new Program(network.inside(['nc', '-v', '-l', '-N', '127.0.0.1', '2525']), { input: '220 hi\r\n' });
  await greeter.until(() => greeter.complaints.includes('Listening'), 'nc to listen');
  const greeted = await smallserv(network, 'probe', '127.0.0.1:2525', '--expect', '^220 hi$');
  expect([greeted.code, greeted.output]).toEqual([0, expect.stringContaining('"220 hi\\r\\n"')]);
});

it('makes a name server and a reflector answer on their ports', async () => {
  const network = Network.make();
  const own = ['--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--log-facility=-'];
  const listen = ['--no-resolv', '--no-hosts', '--listen-address=127.0.0.1', '--bind-interfaces'];
  const names = new Program(network.inside(['dnsmasq', ...own, ...listen]));
  await names.until(() => names.complaints.includes('started'), 'the start of dnsmasq');
  const set = ['--set', 'services.stamp.listen=udp://127.0.0.1:862', '--set', 'workers=1'];
  await new DaemonProgram(set, (argv) => network.inside(argv)).ready();
  const ended = await smallserv(network, 'probe', '--json', '127.0.0.1:53,862/udp');
  const found = Object.fromEntries(outcomesIn(ended.output).map(([target, outcome]) => [target, outcome]));
  expect(found).toEqual({ '127.0.0.1:53/udp': 'ok', '127.0.0.1:862/udp': 'ok' });
});

it('redraws a table on a terminal, marks what changes, and ends with Ctrl-C', async () => {
  const network = Network.make();
  const command = `exec ${clientProgram.join(' ')} probe --watch -i 100ms 127.0.0.1:2001,2002`;
  const terminal = new Program(network.inside(['script', '--quiet', '--return', '--command', command, '/dev/null']), {
    directory: checkout,
    env: { TERM: 'xterm-256color', NO_COLOR: '1' },
  });
  await terminal.says(/ 127\.0\.0\.1:2001 {2}refused .*\r\n {2}127\.0\.0\.1:2002 {2}refused /);
  const peer = new Program(network.inside(['nc', '-k', '-l', '127.0.0.1', '2002']));
  await terminal.says(/\* 127\.0\.0\.1:2002 {2}ok .* was refused until \d\d:\d\d:\d\d/);
  await terminal.says(/ {2}127\.0\.0\.1:2002 {2}ok .* was refused until \d\d:\d\d:\d\d/);
  terminal.type('\x03');
  const { code } = await terminal.end();
  expect(terminal.output).toMatch(/\r\n--- 2 targets, \d+ probes: \d+ ok, \d+ refused, \d+ ms\r\n/);
  expect(terminal.output).toContain('\u001b[3A\u001b[J');
  expect(code).toBe(2);
  expect(peer.running).toBe(true);
});
