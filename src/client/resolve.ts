import type { HostAddress } from './dial/resolve-host.ts';
import { lookupHost } from './lookup-host.ts';
import type { ClientOptions } from './options.ts';

/** The address of a host that the system prefers. Throws `ARGUMENT_INVALID` and `HOST_NOT_FOUND`. */
export async function resolve(host: string, options: ClientOptions = {}): Promise<HostAddress> {
  const [first] = await lookupHost(host, options);
  // lookupHost throws if there are none.
  return first as HostAddress;
}
