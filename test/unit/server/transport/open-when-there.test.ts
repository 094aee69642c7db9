import { beforeEach, expect, it } from 'vitest';
import { openWhenThere } from '../../../../src/server/transport/open-when-there.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeLog } from '../../../support/fake-log.ts';

let clock: FakeClock;
let log: FakeLog;
let isStopping: boolean;
let attempts: Map<string, number>;

beforeEach(() => {
  clock = new FakeClock();
  log = new FakeLog();
  isStopping = false;
  attempts = new Map();
});

function planned(address: string, { service = 'echo', optional = false } = {}): PlannedListener {
  const target = { transport: 'tcp', family: 'ipv4', address, port: 7, freebind: false } as const;
  return { id: 0, service, text: `tcp://${address}:7`, target, optional };
}

/** Which addresses are there, and from when; `failures` never come. */
function machine(thereFromMs: Readonly<Record<string, number>>, failures: Readonly<Record<string, string>> = {}) {
  return ({ target }: PlannedListener): string => {
    const { address } = target as { address: string };
    attempts.set(address, (attempts.get(address) ?? 0) + 1);
    const code = failures[address] ?? (clock.nowMs >= (thereFromMs[address] ?? Infinity) ? undefined : 'EADDRNOTAVAIL');
    if (code !== undefined) throw Object.assign(new Error(`bind ${code}`), { code });
    return `${address} at ${clock.nowMs}`;
  };
}

/** Opens a plan while time passes. Returns what is open, in order. */
async function open(plan: readonly PlannedListener[], opener: ReturnType<typeof machine>): Promise<readonly string[]> {
  const opening = openWhenThere(plan, opener, { clock, log, isStopping: () => isStopping });
  const opened = opening.then((found) => plan.flatMap((each) => found.get(each) ?? []));
  opened.catch(() => {});
  for (;;) {
    await new Promise(setImmediate);
    if (clock.waiting === 0) break;
    clock.advance(50);
  }
  return opened;
}

it('opens at once what is there, without a timer', async () => {
  expect(await open([planned('192.0.2.1'), planned('192.0.2.2')], machine({ '192.0.2.1': 0, '192.0.2.2': 0 }))).toEqual(
    ['192.0.2.1 at 0', '192.0.2.2 at 0'],
  );
  expect([clock.waiting, log.records]).toEqual([0, []]);
});

it('opens the others first, then tries four times a second until an address is there', async () => {
  const opener = machine({ '192.0.2.1': 2000, '192.0.2.2': 0 });
  expect(await open([planned('192.0.2.1'), planned('192.0.2.2')], opener)).toEqual([
    '192.0.2.1 at 2000',
    '192.0.2.2 at 0',
  ]);
  expect(attempts).toEqual(
    new Map([
      ['192.0.2.1', 9],
      ['192.0.2.2', 1],
    ]),
  );
  expect(log.records).toEqual([
    {
      level: 'warn',
      fields: { service: 'echo', listen: 'tcp://192.0.2.1:7', waitMs: 5000 },
      message: 'address not available yet, retrying',
    },
  ]);
});

it('gives up after five seconds, and suggests freebind', async () => {
  await expect(open([planned('192.0.2.1')], machine({ '192.0.2.1': 5001 }))).rejects.toThrow(
    'echo: cannot listen on tcp://192.0.2.1:7: this machine does not have the address 192.0.2.1 (ip address shows those that it has). ' +
      'To listen before the address exists, set "freebind: true"',
  );
  expect(clock.nowMs).toBe(5000);
});

it('waits for an interface, too', async () => {
  let isThere = false;
  const opener = (): string => {
    if (isThere) return 'there';
    isThere = clock.nowMs >= 500;
    throw Object.assign(new Error('if_nametoindex ENODEV'), { code: 'ENODEV' });
  };
  expect(await open([planned('fe80::1%eth9')], opener)).toEqual(['there']);
});

it('fails at once with any other error, even if an address is missing, too', async () => {
  const opener = machine({}, { '192.0.2.2': 'EADDRINUSE' });
  await expect(open([planned('192.0.2.1'), planned('192.0.2.2')], opener)).rejects.toMatchObject({
    code: 'LISTEN_IN_USE',
  });
  expect(clock.nowMs).toBe(0);
});

it('skips an optional listener at once, unless its service has no other', async () => {
  const optional = planned('192.0.2.1', { optional: true });
  const opener = machine({ '192.0.2.1': 1000, '192.0.2.2': 0 });
  expect(await open([optional, planned('192.0.2.2')], opener)).toEqual(['192.0.2.2 at 0']);
  const other = planned('192.0.2.2', { service: 'time' });
  expect(await open([optional, other], opener)).toEqual(['192.0.2.1 at 1000', '192.0.2.2 at 0']);
});

it('does not wait for an address family', async () => {
  const opener = machine({}, { '192.0.2.1': 'EAFNOSUPPORT' });
  const optional = planned('192.0.2.1', { optional: true });
  expect(
    await open([optional, planned('192.0.2.2')], machine({ '192.0.2.2': 0 }, { '192.0.2.1': 'EAFNOSUPPORT' })),
  ).toEqual(['192.0.2.2 at 0']);
  await expect(open([optional], opener)).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
  await expect(open([planned('192.0.2.1')], opener)).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
  expect(clock.nowMs).toBe(0);
});

it('tries nothing more once nobody needs the listeners', async () => {
  const opening = open([planned('192.0.2.1')], machine({ '192.0.2.1': 200 }));
  await new Promise(setImmediate);
  isStopping = true;
  await expect(opening).rejects.toMatchObject({ code: 'LISTEN_NOT_AVAILABLE' });
  expect(attempts.get('192.0.2.1')).toBe(1);
});
