import { SmallservdError } from '../../errors.ts';
import type { SocketAccess } from '../transport/listener.ts';
import type { SocketAccessLookup } from '../transport/plan.ts';
import { accountId, type Identity } from './identity.ts';

/**
 * Returns the access to set on the files of UNIX listeners: as specified in their addresses, else `defaultOwner` and
 * the group of `identity`, which serves them; null is this process.
 */
export function socketAccessFor(
  identity: Identity | null,
  defaultOwner: number = identity?.uid ?? process.geteuid?.() ?? 0,
): SocketAccessLookup {
  return async ({ text, mode, owner, group }, service): Promise<SocketAccess> => ({
    mode,
    uid: owner === null ? defaultOwner : await idOf('user', owner, `${service}: ${text}`),
    gid:
      group === null ? (identity?.gid ?? process.getegid?.() ?? 0) : await idOf('group', group, `${service}: ${text}`),
  });
}

async function idOf(kind: 'user' | 'group', account: string, listener: string): Promise<number> {
  const id = await accountId(kind, account);
  if (id === undefined)
    throw new SmallservdError('USER_UNKNOWN', `${listener}: "${account}" is not a ${kind} on this machine`);
  return id;
}
