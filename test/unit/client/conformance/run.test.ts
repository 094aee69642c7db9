import { describe, expect, test } from 'vitest';
import { type Check, Fault, Skip } from '../../../../src/client/conformance/check.ts';
import { Inbox } from '../../../../src/client/conformance/datagrams.ts';
import { allChecks } from '../../../../src/client/conformance/index.ts';
import { type CheckResult, type RunOptions, runChecks } from '../../../../src/client/conformance/run.ts';
import { Deferred } from '../../../../src/deferred.ts';
import { SmallservdError } from '../../../../src/errors.ts';
import { fakeTcpServer, fakeUdpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';

const options = {
  timeoutMs: 1000,
  quietMs: 50,
  dangerousPorts: { low: [], reflectors: [] },
} as const;

function check(word: string, run: Check['run'], transport: 'tcp' | 'udp' = 'tcp'): Check {
  return { id: `echo.${transport}.${word}`, service: 'echo', transport, basis: 'RFC 862', fact: `${word} holds`, run };
}

function refuse(): never {
  throw new Error('enough');
}

function named(...ids: readonly string[]): readonly Check[] {
  return allChecks.filter(({ id }) => ids.includes(id));
}

/** Runs them against one server for all. */
async function runAgainst(
  checks: readonly Check[],
  port: number,
  more: Partial<RunOptions> = {},
): Promise<readonly CheckResult[]> {
  return runChecks('127.0.0.1', checks, { ...options, portOf: () => port, ...more });
}

async function openServer(): Promise<number> {
  return (await fakeTcpServer((socket) => void socket.resume())).port;
}

describe('a check', () => {
  test.each([
    ['that passes with a detail', async () => 'a word', { outcome: 'passed', detail: 'a word' }],
    ['that passes without a detail', async () => {}, { outcome: 'passed', detail: '' }],
    [
      'that finds a fault',
      async () => Promise.reject(new Fault('this', 'that', Buffer.from('that'))),
      { outcome: 'failed', detail: 'expected this; saw that', bytes: Buffer.from('that') },
    ],
    ['that is skipped', async () => Promise.reject(new Skip('too far')), { outcome: 'skipped', detail: 'too far' }],
    [
      'that gets no answer',
      async () => Promise.reject(new SmallservdError('NO_ANSWER', 'it is silent')),
      { outcome: 'failed', detail: 'it is silent' },
    ],
    [
      'that throws an unexpected error',
      async () => Promise.reject(new TypeError('undefined is not a function')),
      { outcome: 'broken', detail: 'TypeError: undefined is not a function' },
    ],
  ])('%s does not stop the next check', async (_what, first, result) => {
    const results = await runAgainst([check('one', first), check('two', async () => 'runs')], await openServer());
    expect(results).toMatchObject([result, { id: 'echo.tcp.two', outcome: 'passed', detail: 'runs' }]);
  });

  test('against a server that never stops sending times out', async () => {
    const { port } = await fakeTcpServer((socket) => {
      const timer = setInterval(() => socket.write('x'), 20);
      socket.resume().on('close', () => clearInterval(timer));
    });
    const results = await runAgainst(named('chargen.tcp.ring'), port, { timeoutMs: 400 });
    expect(results).toMatchObject([
      { outcome: 'failed', detail: 'expected the check to finish within 2400ms; it did not' },
    ]);
  });

  test('fails if the server resets the connection after the probe', async () => {
    let clients = 0;
    const { port } = await fakeTcpServer((socket) => {
      clients += 1;
      if (clients > 1) socket.resetAndDestroy();
    });
    const results = await runAgainst(named('time.tcp.four-bytes'), port);
    expect(results).toMatchObject([{ outcome: 'failed', detail: expect.stringMatching(/connection reset/) }]);
  });
});

test.each([
  'daytime.tcp.characters',
  'systat.tcp.lines',
  'qotd.tcp.closes',
  'time.tcp.half-close',
  'time.tcp.unread-input',
])('%s is skipped if the server closes without an answer', async (id) => {
  const { port } = await fakeTcpServer((socket) => void socket.resume().end());
  const results = await runAgainst(named(id), port);
  expect(results).toMatchObject([{ outcome: 'skipped', detail: 'no answer to check' }]);
});

describe('runChecks', () => {
  test('reports unreachable services over TCP and UDP with the reason', async () => {
    const results = await runAgainst(
      named('time.tcp.closes', 'time.udp.empty', 'discard.udp.silent'),
      await freePort(),
      // The refusal over UDP has to come within this, even on a busy machine.
      { quietMs: 2000 },
    );
    expect(results.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['discard.udp.silent', 'unreachable'],
      ['time.tcp.closes', 'unreachable'],
      ['time.udp.empty', 'unreachable'],
    ]);
    expect(results.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/over UDP: refused by 127\.0\.0\.1 \(port unreachable\)$/),
      expect.stringMatching(/^cannot connect to .*: connection refused$/),
      expect.stringMatching(/over UDP: refused by 127\.0\.0\.1 \(port unreachable\)$/),
    ]);
  });

  test('reports a silent UDP discard as unreachable unless another service answers', async () => {
    const { port } = await fakeUdpServer(() => {});
    const [alone] = await runAgainst(named('discard.udp.silent'), port);
    expect(alone).toMatchObject({
      outcome: 'unreachable',
      detail: expect.stringMatching(/^no answer from \S+ over UDP\. That is correct/),
    });
    const tcp = await openServer();
    const portOf: RunOptions['portOf'] = (_service, transport) => (transport === 'tcp' ? tcp : port);
    const results = await runAgainst([...named('discard.udp.silent'), check('any', async () => {})], port, { portOf });
    expect(results.map(({ outcome }) => outcome)).toEqual(['passed', 'passed']);
  });

  test('rejects a name without an address', async () => {
    const error = await runChecks('no-such-host.invalid', named('time.tcp.closes'), {
      ...options,
      portOf: () => 37,
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'HOST_NOT_FOUND' });
  });
});

test('runChecks checks the address that answers', async () => {
  // On IPv4 only, whatever the system prefers for the name.
  const { port } = await fakeUdpServer((_request, reply) => reply('1234'));
  const results = await runChecks('localhost', named('time.udp.four-bytes'), { ...options, portOf: () => port });
  expect(results).toMatchObject([{ outcome: 'passed' }]);
});

test('runChecks returns results in check order and reports progress', async () => {
  const told: string[] = [];
  const results = await runAgainst(
    [check('a', async () => {}), check('b', async () => {}), ...named('time.tcp.closes', 'time.udp.any')],
    await openServer(),
    { onProgress: (done, all) => told.push(`${done}/${all}`), timeoutMs: 100 },
  );
  expect(results.map(({ id }) => id)).toEqual(['echo.tcp.a', 'echo.tcp.b', 'time.tcp.closes', 'time.udp.any']);
  expect(told).toEqual(['1/4', '2/4', '3/4', '4/4']);
});

test('two services are asked from the same port at the same time, and each answer goes to its own check', async () => {
  const localPort = await freePort();
  let open = 0;
  const bothOpen = new Deferred<void>();
  const ask: Check['run'] = async (context) =>
    withInbox(await Inbox.open(context, localPort), async (inbox) => {
      open += 1;
      if (open === 2) bothOpen.resolve();
      await bothOpen.promise;
      await inbox.send(Buffer.from('who is there?'));
      return String((await inbox.collect(1))[0]);
    });
  const servers = {
    echo: await fakeUdpServer((_request, reply) => reply('echo')),
    time: await fakeUdpServer((_request, reply) => reply('time')),
  };
  const portOf: RunOptions['portOf'] = (service) => servers[service === 'echo' ? 'echo' : 'time'].port;
  const checks = [check('one', ask, 'udp'), { ...check('two', ask, 'udp'), service: 'time' } as const];
  const results = await runAgainst(checks, 0, { portOf });
  expect(results.map(({ outcome, detail }) => [outcome, detail])).toEqual([
    ['passed', 'echo'],
    ['passed', 'time'],
  ]);
});

async function withInbox<Value>(inbox: Inbox, talk: (inbox: Inbox) => Promise<Value>): Promise<Value> {
  try {
    return await talk(inbox);
  } finally {
    inbox.close();
  }
}

describe('an interruption', () => {
  test('stops the run during a check', async () => {
    const stop = new AbortController();
    const waits = check('waits', async () => {
      stop.abort();
      await Promise.reject(new SmallservdError('INTERRUPTED', 'interrupted'));
    });
    const error = await runAgainst([waits], await openServer(), { signal: stop.signal }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'INTERRUPTED' });
  });

  test('stops the other services if one check ends the run', async () => {
    const port = await openServer();
    const [started, stopped] = [new Deferred<void>(), new Deferred<void>()];
    const other: Check = {
      ...check('waits', async ({ signal }) => {
        signal.addEventListener('abort', () => stopped.resolve());
        started.resolve();
        await stopped.promise;
      }),
      service: 'discard',
    };
    const checks = [check('one', async () => started.promise), other];
    await expect(runAgainst(checks, port, { onProgress: refuse })).rejects.toThrow('enough');
    await stopped.promise;
  });

  test('stops the run before it starts', async () => {
    const error = await runAgainst(named('time.tcp.closes'), 37, { signal: AbortSignal.abort() }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'INTERRUPTED' });
  });
});
