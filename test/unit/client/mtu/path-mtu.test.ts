import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measurePath, type PathMtu, type PathProbes, type ProbeOutcome } from '../../../../src/client/mtu/path-mtu.ts';

const least = 36;
const most = 65_535;
const router = '192.0.2.254';

interface Path {
  readonly interfaceMtu: number;
  /** What routers take on the way there, and on the way back. */
  readonly there: number;
  readonly back: number;
  /** Whether their ICMP errors arrive. */
  readonly isToldThere: boolean;
  readonly isToldBack: boolean;
  /** Whether the host answers at a closed port. */
  readonly isPortClosed: boolean;
  /** Whether fragments pass. */
  readonly passesFragments: boolean;
  /** The largest packet that the service takes. */
  readonly serviceBytes: number;
}

const open: Path = {
  interfaceMtu: 1500,
  there: 1500,
  back: 1500,
  isToldThere: true,
  isToldBack: true,
  isPortClosed: true,
  passesFragments: true,
  serviceBytes: most,
};

const silent: ProbeOutcome = { kind: 'silent' };
const whole: ProbeOutcome = { kind: 'answered', fragmentBytes: undefined };

/** Counts the probes in `counted`. */
function probesOf(path: Path, counted = { probes: 0 }): PathProbes {
  const goThere = (bytes: number): ProbeOutcome | undefined => {
    counted.probes += 1;
    if (bytes > path.interfaceMtu) return { kind: 'too-big', from: undefined, mtuBytes: path.interfaceMtu };
    if (bytes <= path.there) return undefined;
    return path.isToldThere ? { kind: 'too-big', from: router, mtuBytes: path.there } : silent;
  };
  // Fragments carry multiples of 8 bytes.
  const cut: ProbeOutcome = { kind: 'answered', fragmentBytes: 20 + 8 * Math.floor((path.back - 20) / 8) };
  const comeBack = (bytes: number): ProbeOutcome => {
    if (bytes > path.serviceBytes) return silent;
    if (bytes <= path.back) return whole;
    // A host fragments without DF what is larger than its own link takes.
    return path.passesFragments && (path.isToldBack || bytes > 1500) ? cut : silent;
  };
  return {
    whole: async (bytes) => goThere(bytes) ?? comeBack(bytes),
    oneWay: async (bytes) => goThere(bytes) ?? (path.isPortClosed ? whole : silent),
    fragmented: async (bytes, pathMtuBytes) => {
      counted.probes += 1;
      return path.passesFragments || bytes <= pathMtuBytes ? comeBack(bytes) : silent;
    },
  };
}

async function measure(path: Partial<Path>): Promise<PathMtu> {
  return measurePath(probesOf({ ...open, ...path }), least, most);
}

describe('a path', () => {
  it('of the MTU of the interface', async () => {
    expect(await measure({})).toEqual({
      mtuBytes: 1500,
      forward: { atLeastBytes: 1500, atMostBytes: 1500, limit: 'interface', router: undefined },
      backward: { atLeastBytes: 1500, atMostBytes: 1500, isBlackHole: false },
      isLossAmbiguous: false,
      largestBytes: most,
    });
  });

  it('with a router that says what it takes', async () => {
    const { mtuBytes, forward } = await measure({ there: 1400, back: 1400 });
    expect(mtuBytes).toBe(1400);
    expect(forward).toMatchObject({ atMostBytes: 1400, limit: 'router', router: { address: router, mtuBytes: 1400 } });
  });

  it('that is a black hole on the way there', async () => {
    const { mtuBytes, forward, backward } = await measure({ there: 1400, isToldThere: false });
    expect(mtuBytes).toBe(1400);
    expect(forward).toMatchObject({ atLeastBytes: 1400, atMostBytes: 1400, limit: 'black-hole', router: undefined });
    expect(backward).toMatchObject({ atLeastBytes: 1500, isBlackHole: false });
  });

  it('that is a black hole on the way back', async () => {
    const { mtuBytes, forward, backward } = await measure({ back: 1280, isToldBack: false });
    expect(mtuBytes).toBe(1280);
    expect(forward).toMatchObject({ atLeastBytes: 1500, atMostBytes: 1500, limit: 'interface' });
    expect(backward).toEqual({ atLeastBytes: 1280, atMostBytes: 1280, isBlackHole: true });
  });

  it('that is narrower on the way back', async () => {
    const { mtuBytes, forward, backward } = await measure({ back: 1283 });
    expect([mtuBytes, forward.atMostBytes]).toEqual([1283, 1500]);
    expect(backward).toEqual({ atLeastBytes: 1283, atMostBytes: 1283, isBlackHole: false });
  });

  it('on which nobody can tell where packets are lost', async () => {
    const path = { there: 1400, back: 1400, isToldThere: false, isToldBack: false, isPortClosed: false };
    const { mtuBytes, forward, isLossAmbiguous } = await measure(path);
    expect([mtuBytes, isLossAmbiguous]).toEqual([1400, true]);
    expect(forward).toMatchObject({ atLeastBytes: 1400, atMostBytes: undefined, limit: undefined });
  });

  it('to a service that takes only small datagrams', async () => {
    expect(await measure({ serviceBytes: 2076 })).toMatchObject({ mtuBytes: 1500, largestBytes: 2076 });
  });

  it('that drops fragments', async () => {
    const { mtuBytes, backward, largestBytes } = await measure({ there: 1400, back: 1450, passesFragments: false });
    expect([mtuBytes, largestBytes]).toEqual([1400, 1400]);
    expect(backward).toMatchObject({ atLeastBytes: 1400, atMostBytes: undefined });
  });

  it('with a router that always tells one byte less is not searched for long', async () => {
    const counted = { probes: 0 };
    const probes = probesOf({ ...open, there: 576 }, counted);
    const lying: PathProbes = {
      ...probes,
      whole: async (bytes) => {
        const outcome = await probes.whole(bytes);
        return outcome.kind === 'too-big' && outcome.from !== undefined ? { ...outcome, mtuBytes: bytes - 1 } : outcome;
      },
    };
    expect(await measurePath(lying, least, most)).toMatchObject({ mtuBytes: 576 });
    expect(counted.probes).toBeLessThan(60);
  });

  it('of any kind is measured in few probes, and its MTU is within the bounds', async () => {
    const mtu = fc.integer({ min: 576, max: 1500 });
    const any = fc.record<Path>({
      interfaceMtu: mtu,
      there: mtu,
      back: mtu,
      isToldThere: fc.boolean(),
      isToldBack: fc.boolean(),
      isPortClosed: fc.boolean(),
      passesFragments: fc.boolean(),
      serviceBytes: fc.constantFrom(most, 2076, 9000),
    });
    await fc.assert(
      fc.asyncProperty(any, async (path) => {
        const counted = { probes: 0 };
        const { mtuBytes, forward, backward, isLossAmbiguous } = await measurePath(
          probesOf(path, counted),
          least,
          most,
        );
        const there = Math.min(path.interfaceMtu, path.there);
        expect(mtuBytes).toBe(Math.min(there, path.back));
        expect(forward.atLeastBytes).toBeLessThanOrEqual(there);
        expect(forward.atMostBytes ?? there).toBeGreaterThanOrEqual(there);
        expect(backward.atLeastBytes).toBeLessThanOrEqual(path.back);
        expect(backward.atMostBytes ?? path.back).toBeGreaterThanOrEqual(path.back);
        if (path.isPortClosed) expect([forward.atLeastBytes, forward.atMostBytes]).toEqual([there, there]);
        if (isLossAmbiguous) expect(path.isPortClosed).toBe(false);
        expect(counted.probes).toBeLessThan(80);
      }),
    );
  });
});
