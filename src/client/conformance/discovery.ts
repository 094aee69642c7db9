import { ask } from '../dial/ask.ts';
import { Connection } from '../dial/connection.ts';
import type { HostAddress, HostAddresses } from '../dial/resolve-host.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import type { Check, RunContext } from './check.ts';
import { Inbox } from './datagrams.ts';
import { testPacket } from './test-packet.ts';

/** A service over one transport, and the port to try. */
export type Place = Pick<Check, 'service' | 'transport'> & { readonly port: number };

/**
 * Result of the first contact: the address that answered, the address that accepted the request but is silent, as
 * discard must be, or the reason why nothing was reached.
 */
export type Reach =
  | { readonly address: HostAddress; readonly isSilent: boolean }
  | { readonly address: undefined; readonly reason: string; readonly outcome: Outcome };

/** The second request is for servers that limit the size of an answer to that of the request. */
const requests = [Buffer.alloc(0), Buffer.alloc(512, '\n')] as const;

/** Looks for a service at all addresses of the host. Throws only `INTERRUPTED`. */
export async function reach(
  { service, transport, port }: Place,
  host: string,
  addresses: HostAddresses,
  patience: RunContext,
): Promise<Reach> {
  const [first] = addresses;
  try {
    if (transport === 'tcp') {
      const family = addresses.every((each) => each.family === first.family) ? first.family : 'both';
      const connection = await Connection.open({ host, port }, { ...patience, family });
      connection.destroy();
      return { address: pinned(addresses, connection.peer.address), isSilent: false };
    }
    if (service === 'discard') return await sendTo(port, addresses, patience);
    const family = addresses.length > 1 ? 'both' : first.family;
    const { timeoutMs, signal, clock, pathControls } = patience;
    const request = (attempt: number): Uint8Array =>
      service === 'stamp' ? testPacket(attempt) : requests[attempt === 0 ? 0 : 1];
    const { peer } = await ask({ host, port }, request, { timeoutMs, signal, clock, pathControls, family });
    return { address: pinned(addresses, peer.address), isSilent: false };
  } catch (error) {
    if (!(error instanceof SmallservdError) || error.code === 'INTERRUPTED') throw error;
    return { address: undefined, reason: error.message, outcome: error.outcome };
  }
}

/** Without an answer, an open UDP port shows only by the absence of ICMP port unreachable. */
async function sendTo(port: number, addresses: HostAddresses, patience: RunContext): Promise<Reach> {
  let refusal: unknown;
  for (const address of addresses) {
    try {
      const replies = await Inbox.with({ ...patience, address, port }, async (inbox) => {
        await inbox.send(requests[1]);
        return inbox.quiet();
      });
      return { address, isSilent: replies.length === 0 };
    } catch (error) {
      if (!(error instanceof SmallservdError) || error.code !== 'CONNECT_FAILED') throw error;
      refusal = error;
    }
  }
  throw refusal;
}

/** The address with its zone, which a socket does not report. */
function pinned(addresses: HostAddresses, seen: string): HostAddress {
  return addresses.find(({ address }) => address === seen) ?? addresses[0];
}
