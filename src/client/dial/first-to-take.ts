import { SmallservdError } from '../../errors.ts';
import { interleave } from './connect.ts';
import type { HostAddress } from './resolve-host.ts';

/**
 * Tries addresses one after the other, families in turn, until one does not refuse: over UDP only an attempt tells who
 * listens. Throws what the first refusal threw where all refuse, and at once what is no `CONNECT_FAILED`.
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
