import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import { SmallservdError } from '../../errors.ts';
import { describeNetworkError, outcomeOf } from './network-error.ts';
import type { HostAddress } from './resolve-host.ts';

/** Any port but 0. Nothing is sent to it. */
const somePort = 9;

/**
 * The first of a host's addresses that this machine has a route to. 0.0.0.0 and `::` become the loopback address they
 * stand for. Sends nothing. Throws `CONNECT_FAILED` if there is no route.
 */
export async function firstWithRoute(host: string, addresses: readonly HostAddress[]): Promise<HostAddress> {
  let failure: { readonly cause: unknown; readonly reason: string } | undefined;
  for (const each of addresses) {
    try {
      return await findRoute(each);
    } catch (error) {
      failure ??= { cause: error, reason: describeNetworkError(error, each.address) };
    }
  }
  const { cause, reason } = failure ?? { cause: undefined, reason: 'it has no address' };
  throw new SmallservdError('CONNECT_FAILED', `cannot reach ${host}: ${reason}`, { cause, outcome: outcomeOf(cause) });
}

/** Connecting a UDP socket looks up the route without sending anything (udp(7)). */
async function findRoute({ address, family }: HostAddress): Promise<HostAddress> {
  const socket = createSocket(family === 'ipv6' ? 'udp6' : 'udp4');
  try {
    return await new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(somePort, address, (error?: Error) => {
        if (error instanceof Error) return reject(error);
        const remote = socket.remoteAddress().address;
        resolve({ address: remote, family: isIP(remote) === 6 ? 'ipv6' : 'ipv4' });
      });
    });
  } finally {
    socket.close();
  }
}
