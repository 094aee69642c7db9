import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IpAddress } from '../../../../src/address/ip-address.ts';
import { LoopBreaker, type LoopVerdict } from '../../../../src/server/guard/loop-breaker.ts';
import { ip, seededRandom } from './fixtures.ts';

const peer = ip('192.0.2.1');
const port = 7007;
const answer = Buffer.from('an answer');
/** The request that was answered first. */
const question = Buffer.from('a question');
const sixTimesNo: LoopVerdict[] = Array.from({ length: 6 }, () => 'no');

function breaker(): LoopBreaker {
  return new LoopBreaker(seededRandom(1));
}

/** A datagram comes, and is answered if nothing speaks against it. */
function ask(
  loops: LoopBreaker,
  request: Uint8Array,
  nowMs = 0,
  {
    reply = request,
    from = peer,
    sourcePort = port,
  }: { reply?: Uint8Array; from?: IpAddress; sourcePort?: number } = {},
): LoopVerdict {
  const verdict = loops.repeats(from, sourcePort, request, nowMs);
  if (verdict === 'no') loops.remember(from, sourcePort, request, reply, nowMs);
  return verdict;
}

/** The peer sends our answer back so many times, as echo would have it. */
function circle(loops: LoopBreaker, times: number, startMs = 0, stepMs = 0): LoopVerdict[] {
  return Array.from({ length: times }, (_, at) => ask(loops, answer, startMs + at * stepMs));
}

/** So many forged packets with different contents, which an echo service sends back after a while. */
function answersTo(packets: number, roundTripMs: number, untilMs = 10_000): { answers: number; lastMs: number } {
  const loops = breaker();
  let circulating = Array.from({ length: packets }, (_, at) => ({
    bytes: Buffer.from(`packet ${at}`),
    atMs: at / 1000,
  }));
  let answers = 0;
  let lastMs = 0;
  while (circulating.length > 0) {
    const next = circulating.reduce((first, each) => (each.atMs < first.atMs ? each : first));
    if (next.atMs > untilMs) break;
    circulating = circulating.filter((each) => each !== next);
    if (ask(loops, next.bytes, next.atMs) !== 'no') continue;
    answers += 1;
    lastMs = next.atMs;
    circulating.push({ bytes: next.bytes, atMs: next.atMs + Math.max(roundTripMs, 0.01) });
  }
  return { answers, lastMs };
}

describe('packets that circulate', () => {
  it.each([1, 2, 4, 16].flatMap((packets) => [0, 20].map((roundTripMs) => [packets, roundTripMs] as const)))(
    'end within a second: %i, over %i ms',
    (packets, roundTripMs) => {
      const { answers, lastMs } = answersTo(packets, roundTripMs);
      expect(lastMs).toBeLessThan(1000);
      // Each was answered once before anything could match, and six matches prove nothing.
      expect(answers).toBeLessThanOrEqual(packets + 6);
    },
  );

  it('are answered again only after a second without any, and then counted anew', () => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer });
    expect(circle(loops, 8)).toEqual([...sixTimesNo, 'found', 'loop']);
    expect(circle(loops, 3, 900, 900)).toEqual(['loop', 'loop', 'loop']);
    expect(circle(loops, 8, 3701)).toEqual([...sixTimesNo, 'found', 'loop']);
  });
});

describe('a client on the port of a victim', () => {
  it('is answered while what circulates is dropped', () => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer });
    circle(loops, 8);
    for (let turn = 0; turn < 200; turn += 1) {
      expect(ask(loops, Buffer.from(`request ${turn}`), turn * 10)).toBe('no');
      if (turn < 10) expect(ask(loops, answer, turn * 10)).toBe('loop');
    }
  });

  it('may send the same empty request as often as it likes', () => {
    const loops = breaker();
    for (let times = 0; times < 50; times += 1) expect(ask(loops, Buffer.alloc(0), 0, { reply: answer })).toBe('no');
  });
});

describe('a match', () => {
  it.each([
    ['within a second', 1000 / 6, 'found'],
    ['over more than a second', 1001 / 6, 'no'],
  ] as const)('counts seven times %s', (_when, stepMs, verdict) => {
    const loops = breaker();
    ask(loops, question, 5000, { reply: answer });
    expect(circle(loops, 7, 5000, stepMs).at(-1)).toBe(verdict);
  });

  it('counts only the last seven', () => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer });
    const times = [0, 900, 1050, 1100, 1150, 1200, 1250, 1300];
    expect(times.map((nowMs) => ask(loops, answer, nowMs))).toEqual([...sixTimesNo, 'no', 'found']);
  });

  it('is not forgotten because of something else', () => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer });
    circle(loops, 6);
    expect(ask(loops, Buffer.from('other'))).toBe('no');
    expect(ask(loops, answer)).toBe('found');
  });

  it('is a request that came before, whatever the answers', () => {
    const loops = breaker();
    const verdicts = Array.from({ length: 9 }, (_, at) => ask(loops, question, 0, { reply: Buffer.from(`${at}`) }));
    expect(verdicts).toEqual(['no', ...sixTimesNo, 'found', 'loop']);
  });

  it('is an empty datagram after an empty answer', () => {
    const loops = breaker();
    const empty = Buffer.alloc(0);
    const verdicts = Array.from({ length: 9 }, () => ask(loops, empty));
    expect(verdicts).toEqual(['no', ...sixTimesNo, 'found', 'loop']);
  });

  it('is none of the sixteen last contents only', () => {
    const loops = breaker();
    for (let at = 0; at < 17; at += 1) ask(loops, Buffer.from(`content ${at}`));
    const verdicts = Array.from({ length: 20 }, () => loops.repeats(peer, port, Buffer.from('content 0'), 0));
    expect(new Set(verdicts)).toEqual(new Set(['no']));
    expect(Array.from({ length: 7 }, () => loops.repeats(peer, port, Buffer.from('content 1'), 0)).at(-1)).toBe(
      'found',
    );
  });

  it('needs an answered request', () => {
    const loops = breaker();
    const verdicts = Array.from({ length: 20 }, () => loops.repeats(peer, port, answer, 0));
    expect(new Set(verdicts)).toEqual(new Set(['no']));
  });

  it.each([
    ['32767', 32_767, 'found'],
    ['32768', 32_768, 'no'],
    ['65535', 65_535, 'no'],
  ] as const)('counts only for ports below 32768: %s', (_text, sourcePort, verdict) => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer, sourcePort });
    expect(Array.from({ length: 7 }, () => ask(loops, answer, 0, { sourcePort })).at(-1)).toBe(verdict);
  });

  it.each([
    ['another address', ip('192.0.2.2'), port],
    ['another family', ip('::192.0.2.1'), port],
    ['another port', peer, port + 1],
  ])('is of one peer: not of %s', (_what, from, sourcePort) => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer });
    ask(loops, question, 0, { reply: answer, from, sourcePort });
    circle(loops, 8);
    expect(ask(loops, answer)).toBe('loop');
    expect(ask(loops, answer, 0, { from, sourcePort })).toBe('no');
  });

  it('differs in any byte or in length from what it does not match', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, by) => {
          const loops = breaker();
          const changed = bytes.map((byte, index) => (index === at % bytes.length ? byte ^ by : byte));
          loops.remember(peer, port, question, bytes, 0);
          for (const other of [changed, bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)])])
            for (let times = 0; times < 8; times += 1) expect(loops.repeats(peer, port, other, 0)).toBe('no');
          for (let times = 0; times < 6; times += 1) loops.repeats(peer, port, bytes, 0);
          expect(loops.repeats(peer, port, bytes, 0)).toBe('found');
        },
      ),
    );
  });
});

/** Addresses of many networks. */
function scattered(at: number): IpAddress {
  return { ...peer, w3: Math.imul(at, 0x01000193) >>> 0 };
}

describe('the table', () => {
  it('keeps a peer that is active while 100,000 others come', () => {
    const loops = breaker();
    ask(loops, question, 0, { reply: answer });
    circle(loops, 8);
    for (let at = 1; at <= 100_000; at += 1) {
      ask(loops, question, at / 100, { reply: answer, from: scattered(at) });
      if (at % 1000 === 0) expect(ask(loops, answer, at / 100)).toBe('loop');
    }
  });

  it('answers few of those that it has no room for', () => {
    const loops = breaker();
    const verdicts = Array.from({ length: 100_000 }, (_, at) => ask(loops, question, 0, { from: scattered(at + 1) }));
    const answered = verdicts.filter((verdict) => verdict === 'no').length;
    // A row for each, and what all others share.
    expect(answered).toBeGreaterThan(4000);
    expect(answered).toBeLessThanOrEqual(4096 + 1000);
    expect(verdicts.at(-1)).toBe('crowded');
  });

  it.each<[string, (at: number) => IpAddress]>([
    ['an IPv4 /24', (at) => ({ ...peer, w3: 0x0a000000 + (at & 0xff) })],
    ['an IPv6 /48', (at) => ip(`2001:db8:7:${(at & 0xffff).toString(16)}::1`)],
    ['the loopback network', (at) => ({ ...peer, w3: 0x7f000001 + at * 251 })],
  ])('lets %s take no rows and no replies of others', (_name, addressOf) => {
    const loops = breaker();
    const verdicts = Array.from({ length: 60_000 }, (_, at) =>
      ask(loops, question, 0, { from: addressOf(at), sourcePort: 2000 + (at % 30_000) }),
    );
    expect(verdicts.filter((verdict) => verdict === 'no').length).toBeLessThanOrEqual(64 + 50);
    const others = Array.from({ length: 900 }, (_, at) => ({ ...peer, w3: (0x0b000000 + at * 256) >>> 0 }));
    expect(others.filter((each) => ask(loops, question, 0, { from: each }) !== 'no')).toEqual([]);
  });

  it('gives the rows of peers that are gone to others', () => {
    const loops = breaker();
    for (let at = 0; at < 100_000; at += 1) ask(loops, question, 0, { from: scattered(at + 1) });
    ask(loops, question, 1001, { reply: answer });
    expect(circle(loops, 7, 1001)).toEqual([...sixTimesNo, 'found']);
  });

  it('lets the peers of one network have a few rows only', () => {
    const loops = breaker();
    // 256 addresses with 1,000 ports each.
    for (let at = 0; at < 256_000; at += 1)
      ask(loops, question, 0, { from: { ...peer, w3: 0x0a000000 + (at & 0xff) }, sourcePort: 2000 + (at >>> 8) });
    const others = Array.from({ length: 1000 }, (_, at) => ({ ...peer, w3: (0x0b000000 + at * 256) >>> 0 }));
    const detected = others.filter((each) => {
      ask(loops, question, 0, { reply: answer, from: each });
      return Array.from({ length: 7 }, () => ask(loops, answer, 0, { from: each })).at(-1) === 'found';
    });
    expect(detected.length).toBeGreaterThan(900);
  });
});

describe('link-local peers', () => {
  it('are watched apart on each link', () => {
    const loops = breaker();
    const verdicts = (zone: number): LoopVerdict[] =>
      Array.from({ length: 7 }, () => ask(loops, answer, 0, { from: ip(`fe80::1%${zone}`) }));
    ask(loops, question, 0, { from: ip('fe80::1%2'), reply: answer });
    expect(verdicts(2)).toEqual([...sixTimesNo, 'found']);
    expect(verdicts(3)[0]).toBe('no');
    expect(ask(loops, answer, 0, { from: ip('fe80::1%3') })).not.toBe('loop');
    expect(ask(loops, answer, 0, { from: ip('fe80::1%2') })).toBe('loop');
  });

  it('of one link cannot keep others out, whatever bits they set', () => {
    const loops = breaker();
    for (let host = 1; host <= 10_000; host += 1)
      ask(loops, question, 0, { from: ip(`fe80:${host.toString(16)}::${host.toString(16)}%2`), reply: answer });
    const others = Array.from({ length: 200 }, (_, host) => ip(`fe80::${host + 1}%${host + 3}`));
    for (const from of others) ask(loops, question, 0, { from, reply: answer });
    const found = others.filter((from) => circleOf(loops, from).includes('found'));
    // One link has 64 of the 4,096 rows.
    expect(found.length).toBeGreaterThan(180);
  });
});

function circleOf(loops: LoopBreaker, from: IpAddress): LoopVerdict[] {
  return Array.from({ length: 7 }, () => ask(loops, answer, 0, { from }));
}
