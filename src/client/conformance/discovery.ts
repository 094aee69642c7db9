import { ask } from '../dial/ask.ts';
import { Connection } from '../dial/connection.ts';
import type { HostAddress } from '../dial/resolve-host.ts';
import type { Patience } from '../dial/wait.ts';
import { SmallservdError } from '../../errors.ts';
import type { CheckContext, CheckedService, Transport } from './check.ts';
import { Inbox } from './datagrams.ts';

/** A service over one transport, and the port to try. */
export interface Place {
  readonly service: CheckedService;
  readonly transport: Transport;
  readonly port: number;
}

/**
 * Result of the first contact: the address that answered, the address that accepted the request but is silent, as
 * discard must be, or the reason why nothing was reached.
 */
export type Reach =
  | { readonly address: HostAddress; readonly isSilent: boolean }
  | { readonly address: undefined; readonly reason: string };

/** The second request is for servers that limit the size of an answer to that of the request. */
const requests = [Buffer.alloc(0), Buffer.alloc(512, '\n')] as const;

/** Looks for a service at all addresses of the host. Throws only `INTERRUPTED`. */
export async function reach(
  place: Place,
  host: string,
  addresses: readonly [HostAddress, ...HostAddress[]],
  patience: Omit<CheckContext, 'address' | 'port'>,
): Promise<Reach> {
  try {
    if (place.transport === 'tcp') return await connectTo(place, host, addresses, patience);
    if (place.service === 'discard') return await sendTo(place, addresses, patience);
    const [first] = addresses;
    const family = addresses.length > 1 ? 'both' : familyOf(first);
    const target = { host, port: place.port };
    const { timeoutMs, signal, clock } = patience;
    const options = { timeoutMs, signal, clock, family } as const;
    const { peer } = await ask(target, (attempt) => requests[attempt === 0 ? 0 : 1], options);
    return { address: pinned(addresses, peer.address), isSilent: false };
  } catch (error) {
    if (!(error instanceof SmallservdError) || error.code === 'INTERRUPTED') throw error;
    return { address: undefined, reason: error.message };
  }
}

async function connectTo(
  { port }: Place,
  host: string,
  addresses: readonly [HostAddress, ...HostAddress[]],
  patience: Patience,
): Promise<Reach> {
  const family = addresses.every((each) => each.family === addresses[0].family) ? familyOf(addresses[0]) : 'both';
  const connection = await Connection.open({ host, port }, { ...patience, family });
  connection.destroy();
  return { address: pinned(addresses, connection.peer.address), isSilent: false };
}

/** Without an answer, an open UDP port shows only by the absence of ICMP port unreachable. */
async function sendTo(
  { port }: Place,
  addresses: readonly HostAddress[],
  patience: Omit<CheckContext, 'address' | 'port'>,
): Promise<Reach> {
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

function familyOf({ family }: HostAddress): 'ipv4' | 'ipv6' {
  return family === 'ipv6' ? 'ipv6' : 'ipv4';
}

/** The address with its zone, which a socket does not report. */
function pinned(addresses: readonly [HostAddress, ...HostAddress[]], seen: string): HostAddress {
  return addresses.find(({ address }) => address === seen) ?? addresses[0];
}
