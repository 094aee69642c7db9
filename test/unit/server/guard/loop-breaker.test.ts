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

function breaker(): LoopBreaker {
  return new LoopBreaker(seededRandom(1));
}

/** The peer sends our answer back `times` times, as echo would have it: each that is not dropped is answered again. */
function circle(loops: LoopBreaker, times: number, startMs = 0, stepMs = 0): LoopVerdict[] {
  return Array.from({ length: times }, (_, at) => {
    const nowMs = startMs + at * stepMs;
    const verdict = loops.repeats(peer, port, answer, nowMs);
    if (verdict === 'no') loops.remember(peer, port, answer, answer, nowMs);
    return verdict;
  });
}

const sevenTimesNo: LoopVerdict[] = Array.from({ length: 7 }, () => 'no');

describe('LoopBreaker', () => {
  it('mutes a peer once, at the eighth repeat', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    expect(circle(loops, 10)).toEqual([...sevenTimesNo, 'muted-now', 'muted', 'muted']);
  });

  it('drops everything from a muted peer', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 8);
    expect(loops.repeats(peer, port, Buffer.from('other'), 1)).toBe('muted');
    expect(loops.repeats(peer, port, Buffer.alloc(0), 1)).toBe('muted');
  });

  it('mutes for 60 s from the eighth repeat, regardless of further datagrams', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 8, 100);
    expect(loops.repeats(peer, port, answer, 60_099)).toBe('muted');
    expect(loops.repeats(peer, port, answer, 60_100)).toBe('no');
  });

  it('mutes again and reports it after eight more repeats', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 8);
    expect(circle(loops, 9, 60_000)).toEqual([...sevenTimesNo, 'muted-now', 'muted']);
  });

  it.each([
    ['within a second', 1000 / 7, 'muted-now'],
    ['over more than a second', 1001 / 7, 'no'],
  ] as const)('checks eight repeats %s', (_when, stepMs, verdict) => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    expect(circle(loops, 8, 5000, stepMs).at(-1)).toBe(verdict);
  });

  it('considers only the last eight repeats', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    const times = [0, 900, 1050, 1100, 1150, 1200, 1250, 1300, 1350];
    const verdicts = times.map((nowMs) => loops.repeats(peer, port, answer, nowMs));
    expect(verdicts).toEqual([...sevenTimesNo, 'no', 'muted-now']);
  });

  it('resets the count on a different datagram', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 7);
    expect(loops.repeats(peer, port, Buffer.from('other'), 0)).toBe('no');
    expect(circle(loops, 8)).toEqual([...sevenTimesNo, 'muted-now']);
  });

  it('treats an empty datagram as different', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 7);
    expect(loops.repeats(peer, port, Buffer.alloc(0), 0)).toBe('no');
    expect(loops.repeats(peer, port, answer, 0)).toBe('no');
  });

  it('mutes a peer that returns empty datagrams for empty replies', () => {
    const loops = breaker();
    const empty = Buffer.alloc(0);
    loops.remember(peer, port, empty, empty, 0);
    const verdicts = Array.from({ length: 9 }, () => loops.repeats(peer, port, empty, 0));
    expect(verdicts).toEqual([...sevenTimesNo, 'muted-now', 'muted']);
  });

  /** The peer sends these, and all that is not dropped is answered with the same. */
  function asked(loops: LoopBreaker, requests: readonly Uint8Array[], stepMs = 0): LoopVerdict[] {
    return requests.map((request, at) => {
      const verdict = loops.repeats(peer, port, request, at * stepMs);
      if (verdict === 'no') loops.remember(peer, port, request, answer, at * stepMs);
      return verdict;
    });
  }

  it('mutes a peer that sends the same request regardless of the reply, at the eighth repeat', () => {
    const same = Array.from({ length: 9 }, () => question);
    expect(asked(breaker(), same)).toEqual([...sevenTimesNo, 'muted-now', 'muted']);
    // What started it was another one.
    expect(asked(breaker(), [Buffer.from('a spark'), ...same])).toEqual(['no', ...sevenTimesNo, 'muted-now', 'muted']);
  });

  it.each([
    ['within a second', 1000 / 7, 'muted-now'],
    ['over more than a second', 1001 / 7, 'no'],
  ] as const)('checks eight identical requests %s', (_when, stepMs, verdict) => {
    const same = Array.from({ length: 8 }, () => question);
    expect(asked(breaker(), same, stepMs).at(-1)).toBe(verdict);
  });

  it('never mutes a client that sends empty requests', () => {
    const loops = breaker();
    const empty = Buffer.alloc(0);
    for (let times = 0; times < 50; times++) {
      expect(loops.repeats(peer, port, empty, 0)).toBe('no');
      loops.remember(peer, port, empty, answer, 0);
    }
  });

  it('keeps counting when the peer returns an empty reply', () => {
    const loops = breaker();
    const answers = ['abc', '', 'de', '', '', 'f', 'ghi', '', 'j'].map((text) => Buffer.from(text));
    let request: Uint8Array = question;
    const verdicts = answers.map((next) => {
      const verdict = loops.repeats(peer, port, request, 0);
      if (verdict === 'no') loops.remember(peer, port, request, next, 0);
      request = next;
      return verdict;
    });
    expect(verdicts).toEqual(['no', ...sevenTimesNo, 'muted-now']);
  });

  it('compares only with the last answered request', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    loops.remember(peer, port, Buffer.from('newer'), answer, 0);
    for (let times = 0; times < 20; times++) expect(loops.repeats(peer, port, question, 0)).toBe('no');
  });

  it.each([
    ['32767', 32_767, 'muted-now'],
    ['32768', 32_768, 'no'],
    ['65535', 65_535, 'no'],
  ] as const)('applies only to ports below 32768: %s', (_text, sourcePort, verdict) => {
    const loops = breaker();
    loops.remember(peer, sourcePort, question, answer, 0);
    const verdicts = Array.from({ length: 8 }, () => loops.repeats(peer, sourcePort, answer, 0));
    expect(verdicts.at(-1)).toBe(verdict);
  });

  it('compares only with the last reply', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 7);
    loops.remember(peer, port, question, Buffer.from('newer'), 0);
    expect(loops.repeats(peer, port, answer, 0)).toBe('no');
    loops.remember(peer, port, question, answer, 0);
    expect(circle(loops, 7)).toEqual(sevenTimesNo);
  });

  it('does not count unanswered requests as repeats', () => {
    const loops = breaker();
    const verdicts = Array.from({ length: 20 }, () => loops.repeats(peer, port, answer, 0));
    expect(new Set(verdicts)).toEqual(new Set(['no']));
  });

  it.each([
    ['another address', ip('192.0.2.2'), port],
    ['another family', ip('::192.0.2.1'), port],
    ['another port', peer, port + 1],
  ])('treats %s as a different peer', (_what, address, otherPort) => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    loops.remember(address, otherPort, question, answer, 0);
    circle(loops, 8);
    expect(loops.repeats(peer, port, answer, 0)).toBe('muted');
    expect(loops.repeats(address, otherPort, answer, 0)).toBe('no');
  });

  it('detects a difference in any byte or in length', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, by) => {
          const loops = breaker();
          const changed = bytes.map((byte, index) => (index === at % bytes.length ? byte ^ by : byte));
          for (const other of [changed, bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)])]) {
            loops.remember(peer, port, question, bytes, 0);
            for (let times = 0; times < 8; times++) expect(loops.repeats(peer, port, other, 0)).toBe('no');
          }
          for (let times = 0; times < 7; times++) loops.repeats(peer, port, bytes, 0);
          expect(loops.repeats(peer, port, bytes, 0)).toBe('muted-now');
        },
      ),
    );
  });

  it('keeps a muted peer in the table while 100,000 others are answered', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 8);
    for (let source = 0; source < 100_000; source++) {
      loops.remember({ ...peer, w3: 0x0a000000 + source }, port, question, answer, 59_999);
    }
    expect(loops.repeats(peer, port, answer, 59_999)).toBe('muted');
  });

  it('gives a table entry to the later peer, with the count reset', () => {
    const loops = breaker();
    loops.remember(peer, port, question, answer, 0);
    circle(loops, 7);
    const others = Array.from({ length: 50_000 }, (_, at): IpAddress => ({ ...peer, w3: 0x0a000000 + at }));
    for (const other of others) loops.remember(other, port, question, answer, 0);
    expect(loops.repeats(peer, port, answer, 0)).toBe('no');
    const verdicts = others.map((other) => Array.from({ length: 8 }, () => loops.repeats(other, port, answer, 0)));
    expect(verdicts.flatMap((list) => list.slice(0, 7)).filter((verdict) => verdict !== 'no')).toEqual([]);
    expect(verdicts.at(-1)?.at(-1)).toBe('muted-now');
    const known = verdicts.filter((list) => list.at(-1) === 'muted-now').length;
    expect(known, 'rows are used').toBeGreaterThan(3500);
    expect(known, 'memory is constant').toBeLessThanOrEqual(4096);
  });
});
