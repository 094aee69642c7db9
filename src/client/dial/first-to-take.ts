import { SmallservdError } from '../../errors.ts';
import type { Attempts } from './attempts.ts';
import { interleave } from './connect.ts';
import type { HostAddress } from './resolve-host.ts';

/**
 * Tries addresses one by one, alternating families, until one does not refuse. Over UDP, only an attempt shows whether
 * anything listens. Records them in `attempts`. Throws the first refusal if all refuse, and immediately any error other
 * than `CONNECT_FAILED`.
 */
export async function firstToTake<Value>(
  addresses: readonly HostAddress[],
  attempt: (address: HostAddress) => Promise<Value>,
  attempts?: Attempts,
): Promise<Value> {
  let refusal: unknown = new SmallservdError('CONNECT_FAILED', 'there is no address to send to');
  for (const [turn, address] of interleave(addresses).entries()) {
    const ended = attempts?.begin(address.address);
    try {
      const value = await attempt(address);
      ended?.('ok');
      return value;
    } catch (error) {
      ended?.(error instanceof SmallservdError ? error.outcome : 'failed');
      if (!(error instanceof SmallservdError) || error.code !== 'CONNECT_FAILED') throw error;
      if (turn === 0) refusal = error;
    }
  }
  throw refusal;
}
