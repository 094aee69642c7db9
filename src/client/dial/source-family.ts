import { isIpv4, parseIp } from '../../address/ip-address.ts';
import { SmallservdError } from '../../errors.ts';

/** Throws `ARGUMENT_INVALID` if the host is an address, and not of the family of the source address. */
export function assertSourceFamily(source: string | undefined, host: string): void {
  const [from, to] = [parseIp(source ?? ''), parseIp(host)];
  if (from === undefined || to === undefined || isIpv4(from) === isIpv4(to)) return;
  const family = isIpv4(from) ? 'IPv4' : 'IPv6';
  throw new SmallservdError('ARGUMENT_INVALID', `the source address ${source} is ${family}, and ${host} is not`);
}
