import { SmallservdError } from '../../errors.ts';
import { interleave } from './connect.ts';
import type { HostAddress } from './resolve-host.ts';

/**
 * Tries addresses one by one, alternating families, until one does not refuse. Over UDP, only an attempt shows whether
 * anything listens. Throws the first refusal if all refuse, and immediately any error other than `CONNECT_FAILED`.
 */
export async function firstToTake<Value>(
  addresses: readonly HostAddress[],
  attempt: (address: HostAddress) => Promise<Value>,
): Promise<Value> {
  let refusal: unknown = new SmallservdError('CONNECT_FAILED', 'there is no address to send to');
  for (const [turn, address] of interleave(addresses).entries()) {
    try {
      return await attempt(address);
    } catch (error) {
      if (!(error instanceof SmallservdError) || error.code !== 'CONNECT_FAILED') throw error;
      if (turn === 0) refusal = error;
    }
  }
  throw refusal;
}
