import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../server/guard/fixtures.ts';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { fakeTcpServer, fakeUdpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';

const protocols = ['tcp', 'udp'] as const;
type Protocol = (typeof protocols)[number];

async function serveEcho(): Promise<TestDaemon> {
  return serve({ echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
}

/** The daemon's echo as arguments. */
function at(daemon: TestDaemon, protocol: Protocol): readonly string[] {
  const { host, port } = daemon.target('echo', protocol);
  return ['echo', `${host}:${port}`, ...(protocol === 'udp' ? ['--udp'] : [])];
}

/** The values of lines of JSON. */
function linesIn(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

describe('a pipe', () => {
  it.each(protocols)('echoes its input over %s', async (protocol) => {
    const daemon = await serveEcho();
    const echoed = await runTool(at(daemon, protocol), { input: 'x' });
    expect(echoed).toEqual({ code: 0, stdout: 'x', stderr: '' });
    expect(await runTool(at(daemon, protocol))).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('echoes megabytes of random bytes', async () => {
    const daemon = await serveEcho();
    const random = seededRandom(1);
    const input = Buffer.from(Array.from({ length: 5_000_000 }, () => Math.floor(random() * 256)));
    const { code, stdout, stderr } = await runTool(at(daemon, 'tcp'), { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(Buffer.from(stdout, 'latin1').equals(input)).toBe(true);
  });

  it('echoes each line while its input is still open', async () => {
    const daemon = await serveEcho();
    const tool = new ToolProcess(at(daemon, 'tcp'), 'pipe');
    tool.type('one\n');
    await tool.says('one\n');
    tool.type('two\n');
    await tool.says('two\n');
    tool.endInput();
    expect((await tool.ended()).code).toBe(0);
  });

  it('ends when the connection closes, even if its input is still open', async () => {
    const { name } = await fakeTcpServer((client) => {
      client.once('data', (chunk) => client.end(chunk));
    });
    const tool = new ToolProcess(['echo', name], 'pipe');
    tool.type('one\n');
    expect(await tool.ended()).toEqual({
      code: 1,
      stdout: 'one\n',
      stderr: `smallserv: ${name} closed the connection\n`,
    });
  });

  it('reports the offset of the first difference', async () => {
    const { name } = await fakeTcpServer((client) => client.once('data', () => client.end('help')));
    expect(await runTool(['echo', name], { input: 'hello' })).toEqual({
      code: 1,
      stdout: 'help',
      stderr: `smallserv: ${name}: what came back differs from what was sent, from offset 3 on\n`,
    });
  });

  it('reports how many bytes are missing', async () => {
    const { name } = await fakeTcpServer((client) => client.resume().on('end', () => client.end('he')));
    expect(await runTool(['echo', name], { input: 'hello' })).toEqual({
      code: 1,
      stdout: 'he',
      stderr: `smallserv: ${name} closed the connection: 3 of 5 bytes did not come back\n`,
    });
  });

  it('prints a summary instead with --json', async () => {
    const daemon = await serveEcho();
    const { code, stdout } = await runTool([...at(daemon, 'tcp'), '--json'], { input: 'hello' });
    const { port } = daemon.target('echo', 'tcp');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      type: 'summary',
      outcome: 'ok',
      target: `127.0.0.1:${port}`,
      addresses: [{ address: '127.0.0.1', outcome: 'ok', elapsedMs: expect.any(Number) as number }],
      peer: { address: '127.0.0.1', port },
      bytes: 5,
    });
  });

  it('exits 130 on Ctrl-C', async () => {
    const daemon = await serveEcho();
    const tool = new ToolProcess(at(daemon, 'tcp'), 'pipe');
    tool.type('one\n');
    await tool.says('one\n');
    tool.signal('SIGINT');
    expect(await tool.ended()).toEqual({ code: 130, stdout: 'one\n', stderr: 'smallserv: interrupted\n' });
  });
});

describe('requests at intervals', () => {
  it.each(protocols)('are printed as they come back, then summarized (%s)', async (protocol) => {
    const daemon = await serveEcho();
    const { host, port } = daemon.target('echo', protocol);
    const peer = `${host}:${port}`;
    const args = [...at(daemon, protocol), '-c', '3', '-i', '1ms', '-s', '100'];
    const { code, stdout, stderr } = await runTool(args);
    const times = '\\d+\\.\\d{3}';
    expect(stdout).toMatch(
      new RegExp(
        [
          `^echo ${peer} over ${protocol.toUpperCase()}, 100 bytes`,
          `100 bytes from ${peer}: seq=1 time=${times} ms`,
          `100 bytes from ${peer}: seq=2 time=${times} ms`,
          `100 bytes from ${peer}: seq=3 time=${times} ms`,
          '',
          `--- ${peer}: 3 sent, 3 received, 0% lost, \\d+ ms`,
          `rtt min/avg/max/mdev = ${times}/${times}/${times}/${times} ms`,
          `rtt p50/p90/p99 = ${times}/${times}/${times} ms`,
          '$',
        ].join('\n'),
      ),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('are not printed individually with --quiet', async () => {
    const daemon = await serveEcho();
    const { code, stdout } = await runTool([...at(daemon, 'udp'), '-q', '-c', '2', '-i', '1ms']);
    expect(code).toBe(0);
    expect(stdout).not.toContain('seq=');
    expect(stdout).toContain('2 sent, 2 received, 0% lost');
  });

  it('are a line of JSON each, and a summary', async () => {
    const daemon = await serveEcho();
    const { code, stdout } = await runTool([...at(daemon, 'udp'), '--json', '-c', '2', '-i', '1ms', '-s', '0']);
    const { host, port } = daemon.target('echo', 'udp');
    const target = `${host}:${port}`;
    const summary = { protocol: 'udp', sizeBytes: 0, sent: 2, received: 2, isRight: true, outcome: 'ok', target };
    const reply = { type: 'reply', target, rttMs: expect.any(Number) as number, isDuplicate: false };
    expect([code, linesIn(stdout)]).toMatchObject([
      0,
      [
        { ...reply, sequence: 1 },
        { ...reply, sequence: 2 },
        { ...summary, type: 'summary' },
      ],
    ]);
    const quiet = await runTool([...at(daemon, 'udp'), '--json', '-q', '-c', '2', '-i', '1ms', '-s', '0']);
    expect(linesIn(quiet.stdout)).toMatchObject([summary]);
  });

  it('are timed for several targets side by side, each with a summary of its own', async () => {
    const daemon = await serveEcho();
    const { host, port } = daemon.target('echo', 'tcp');
    const right = `${host}:${port}`;
    const closed = `127.0.0.1:${await freePort()}`;
    const args = ['echo', right, closed, `localhost:${port}`, '-4', '-c', '2', '-i', '1ms'];
    const ended = await runTool(args);
    expect([ended.code, ended.stderr]).toEqual([2, `smallserv: cannot connect to ${closed}: connection refused\n`]);
    for (const name of [right, `localhost:${port} (${right})`]) {
      expect(ended.stdout).toContain(`512 bytes from ${name}: seq=2 `);
      expect(ended.stdout).toContain(`\n--- ${name}: 2 sent, 2 received, 0% lost`);
    }
    const json = await runTool([...args, '--json']);
    const summaries = linesIn(json.stdout).filter(({ type }) => type === 'summary');
    expect(Object.fromEntries(summaries.map(({ target, outcome }) => [target, outcome]))).toEqual({
      [right]: 'ok',
      [closed]: 'refused',
      [`localhost:${port}`]: 'ok',
    });
    expect((await runTool(['echo', right, right, '-c', '1'])).code).toBe(0);
  });

  it('are printed as monitoring programs read them', async () => {
    let requests = 0;
    const { name } = await fakeUdpServer((request, reply) => {
      requests += 1;
      if (requests % 3 !== 2) reply(request);
    });
    const args = ['echo', '-u', '-c', '3', '-i', '1ms', '-s', '64', '-W', '1s', '--format'];
    const time = String.raw`\d+(?:\.\d+)?`;
    const times = `${name} : ${time} - ${time}\n`;
    expect(await runTool([...args, 'smokeping', name])).toEqual({
      code: 1,
      stdout: expect.stringMatching(new RegExp(`^${times}$`)) as string,
      stderr: '',
    });
    expect(await runTool([...args, 'fping', name])).toEqual({
      code: 1,
      stdout: expect.stringMatching(
        new RegExp(
          `^${name} : \\[0\\], 64 bytes, ${time} ms \\(${time} avg, 0% loss\\)\n` +
            `${name} : \\[2\\], 64 bytes, ${time} ms \\(${time} avg, 0% loss\\)\n` +
            `${name} : \\[1\\], timed out \\(${time} avg, 33% loss\\)\n$`,
        ),
      ) as string,
      stderr: expect.stringMatching(new RegExp(`^\n${times}$`)) as string,
    });
    const csv = await runTool([...args, 'csv', name]);
    expect(csv.stdout.replaceAll(/\d{4}-\S+?Z/g, 'T').replaceAll(/\d+\.\d{3}/g, 'R')).toBe(
      `time,target,sequence,type,rttMs,error\nT,${name},1,reply,R,\nT,${name},3,reply,R,\nT,${name},2,lost,,\n`,
    );
    const quiet = await runTool([...args, 'csv', '-q', name]);
    expect(quiet.stdout.replaceAll(/\d{4}-\S+?Z/g, 'T').replaceAll(/\d+\.\d{3}/g, 'R')).toBe(
      'time,target,outcome,sent,received,lost,minMs,meanMs,maxMs,error\n' +
        `T,${name},timeout,3,2,1,R,R,R,${name}: 1 of 3 requests did not come back\n`,
    );
  });

  it.each([['--json'], ['--format', 'json'], ['--format=json']])(
    'are refused in JSON with %j %s',
    async (...format) => {
      const ended = await runTool(['echo', 'a.example', 'b.example', ...format], { input: 'x' });
      const error = 'with piped input, more than one host needs --count or --interval';
      expect([ended.code, linesIn(ended.stdout), ended.stderr]).toMatchObject([
        64,
        [{ type: 'summary', outcome: 'invalid', error }],
        `smallserv: ${error}\n`,
      ]);
    },
  );

  it('are dashes for a target that cannot be reached', async () => {
    const target = `127.0.0.1:${await freePort()}`;
    const error = `cannot connect to ${target}: connection refused`;
    const stderr = `smallserv: ${error}\n`;
    const args = ['echo', target, '-c', '2', '--format'];
    expect(await runTool([...args, 'smokeping'])).toEqual({ code: 2, stdout: `${target} : - -\n`, stderr });
    const csv = await runTool([...args, 'csv']);
    expect(csv.stdout).toMatch(/^time,target,sequence,type,rttMs,error\n[^,]+,[^,]+,,error,,[^,]+\n$/);
  });

  it('have the time with -D', async () => {
    const daemon = await serveEcho();
    const beganS = Date.now() / 1000;
    const { stdout } = await runTool([...at(daemon, 'tcp'), '-c', '1', '-D']);
    const [, seconds] = /^\[(\d+\.\d{6})\] 512 bytes from .* seq=1 /m.exec(stdout) ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(beganS - 1);
    expect(Number(seconds)).toBeLessThanOrEqual(Date.now() / 1000 + 1);
  });

  it('end at the deadline', async () => {
    const { name } = await fakeUdpServer(() => {});
    const ended = await runTool(['echo', '-u', name, '-c', '9', '-i', '60', '-w', '0.05', '--json']);
    expect([ended.code, linesIn(ended.stdout)]).toMatchObject([
      1,
      [
        { type: 'lost', sequence: 1 },
        { type: 'summary', outcome: 'timeout', sent: 1, lost: 1 },
      ],
    ]);
  });

  it.each([[['--count', '0']], [['--count', 'forever']], [['--interval', '1s']]])(
    'continue until Ctrl-C with %j, then are summarized',
    async (args) => {
      const daemon = await serveEcho();
      const tool = new ToolProcess([...at(daemon, 'tcp'), ...args]);
      await tool.says('seq=1 ');
      tool.signal('SIGINT');
      const { code, stdout, stderr } = await tool.ended();
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/\n--- \S+: 1 sent, 1 received, 0% lost, \d+ ms\nrtt min/);
    },
  );

  it('with --json, have what is wrong in the document', async () => {
    const { name } = await fakeUdpServer(() => {});
    const args = ['echo', '-u', name, '-c', '2', '-i', '1ms', '--timeout', '10ms', '--json'];
    const { code, stdout, stderr } = await runTool(args);
    const error = `${name}: 2 of 2 requests did not come back`;
    const lost = { type: 'lost', target: name, waitedMs: 10 };
    expect([code, stderr]).toEqual([1, '']);
    expect(linesIn(stdout)).toMatchObject([
      { ...lost, sequence: 1 },
      { ...lost, sequence: 2 },
      { type: 'summary', outcome: 'timeout', error },
    ]);
  });

  it('with -q, are summarized, which tells what was lost', async () => {
    const { name } = await fakeUdpServer(() => {});
    const { code, stdout, stderr } = await runTool([
      'echo',
      '-u',
      name,
      '-c',
      '2',
      '-i',
      '1ms',
      '--timeout',
      '10ms',
      '-q',
    ]);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toContain('2 sent, 0 received, 100% lost');
  });

  it('are reported if duplicated, corrupted or lost', async () => {
    let requests = 0;
    const { name } = await fakeUdpServer((request, reply) => {
      requests += 1;
      const wrong = Buffer.from(request);
      wrong[60] = (wrong[60] ?? 0) ^ 1;
      if (requests === 1) for (let times = 0; times < 2; times++) reply(request);
      if (requests === 2) reply(wrong);
    });
    const args = ['-u', '-c', '3', '-i', '50ms', '-s', '64', '--timeout', '2s'];
    const { code, stdout } = await runTool(['echo', name, ...args]);
    expect(stdout).toMatch(
      /seq=1 time=\S+ ms\n.*seq=1 time=\S+ ms \(duplicate\)\n.*seq=2 corrupted from offset 60 on\n.*: seq=3 no answer/,
    );
    expect(stdout).toContain('3 sent, 1 received, 1 duplicate, 1 corrupted, 66.67% lost');
    expect(code).toBe(1);
  });

  it('are summarized if the connection closes, which is reported', async () => {
    const { name } = await fakeTcpServer((client) => client.once('data', () => client.end()));
    const { code, stdout, stderr } = await runTool(['echo', name, '-c', '2']);
    expect(code).toBe(1);
    expect(stdout).toContain('1 sent, 0 received, 100% lost');
    expect(stderr).toBe(`smallserv: ${name} closed the connection\n`);
  });
});

describe('an unreachable host', () => {
  it.each([[[]], [['-c', '1']]])('is reported on one line with exit code 2 (%j)', async (args) => {
    const host = `127.0.0.1:${await freePort()}`;
    for (const protocol of protocols) {
      const { code, stderr } = await runTool(['echo', host, ...(protocol === 'udp' ? ['-u'] : []), ...args], {
        input: 'x',
      });
      expect(code).toBe(2);
      expect(stderr).toBe(
        protocol === 'udp'
          ? `smallserv: cannot reach ${host} over UDP: refused by 127.0.0.1 (port unreachable)\n`
          : `smallserv: cannot connect to ${host}: connection refused\n`,
      );
    }
    const { code, stderr } = await runTool(['echo', 'no-such-host.invalid', ...args], { input: 'x' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^smallserv: (?:cannot resolve )?no-such-host\.invalid\b.*\n$/);
  });

  it('is reported with exit code 1 if it is silent over UDP', async () => {
    const { name } = await fakeUdpServer(() => {});
    const { code, stdout, stderr } = await runTool(['echo', name, '-u', '--timeout', '100ms'], { input: 'x' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `smallserv: ${name} is silent over UDP: the datagram at offset 0 did not come back within 100ms\n`,
    );
  });
});

it.each([
  [[], 'missing required argument'],
  [['h', '-c', 'x'], 'expected a whole number, 0 or more, or forever'],
  [['h', '-i', '1x'], '"1x" is not valid for --interval: expected a duration'],
  [['h', '-W', '0'], '"0" is not valid for --timeout: expected a duration'],
  [['h', 'i'], 'with piped input, more than one host needs --count or --interval'],
  [['h', '--format', 'fping'], 'with piped input, --format fping needs --count or --interval'],
  [['h', '--format', 'fping', '-i', '1'], '--format fping needs --count'],
  [['h', '--format', 'xml', '-i', '1'], '"xml" is not valid for --format: expected one of text, json, csv, '],
  [['h', '-w', '1'], 'with piped input, --deadline needs --count or --interval'],
  [['h', '-s', 'big', '-u'], 'expected a size'],
  [['127.0.0.1:7', '-s', '9'], 'with piped input over TCP, --size needs --count or --interval'],
  [['127.0.0.1:7', '-u', '-s', '65508'], 'the size is 65508 bytes: 127.0.0.1 takes at most 65507 bytes over IPv4'],
  [['127.0.0.1:7', '-u', '-c', '1', '-s', '65508'], 'the size is 65508 bytes: 127.0.0.1 takes at most 65507'],
  [['[::1]:7', '-u', '-c', '1', '-s', '65528'], 'the size of a datagram is 65528: expected 0 to 65527'],
  [['127.0.0.1:7', '-c', '1', '-s', '0'], 'the size of a request over TCP is 0: expected 1 to 16777216'],
  [['127.0.0.1:7', '--keepalive', '10ms'], 'the keepalive delay in milliseconds is 10: expected 1000'],
])('rejects the command line %j', async (args, message) => {
  const { code, stdout, stderr } = await runTool(['echo', ...args]);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(/^smallserv: .*\n$/);
  expect(stderr).toContain(message);
});

it('lists its options and an example in the help', async () => {
  const { code, stdout } = await runTool(['echo', '--help']);
  expect(code).toBe(0);
  for (const option of ['--udp', '--count', '--interval', '--size', '--quiet', '--keepalive', '--timeout', '--json'])
    expect(stdout).toContain(option);
  expect(stdout).toContain('smallserv echo localhost:1201');
});
