import type { ListenAddress, UnixListenAddress } from '../../address/listen-address.ts';
import { findOverlaps, type ResolvedAddress, resolveListenAddress } from '../../address/resolve.ts';
import { SmallservdError } from '../../errors.ts';
import { identifyDescriptors, type InheritedTarget } from './inherited.ts';
import type { ListenTarget, SocketAccess } from './listener.ts';

/** A listener to open, with its service, its listen address in the config, and its target. */
export interface PlannedListener {
  /** Position in the plan. */
  readonly id: number;
  readonly service: string;
  /** The listen address as written in the config. */
  readonly text: string;
  readonly target: ListenTarget;
  /** Whether the listener may be skipped if the machine lacks its address family. */
  readonly optional: boolean;
}

/** Resolves owner and group of a listener's socket file to numeric ids. Throws `USER_UNKNOWN`. */
export type SocketAccessLookup = (address: UnixListenAddress, service: string) => Promise<SocketAccess>;

/** The part of a service's config that says where it listens. */
interface Listening {
  readonly name: string;
  readonly listen: readonly ListenAddress[];
  readonly freebind?: boolean;
}

/**
 * All listeners of a config, with names resolved and inherited descriptors identified. Throws `NAME_NOT_RESOLVED`,
 * `LISTEN_NO_DESCRIPTOR`, `LISTEN_IN_USE` if two names stand for the same address, and the errors of `access`.
 */
export async function planListeners(
  config: { readonly services: readonly Listening[] },
  passed: ReadonlyMap<string, readonly number[]>,
  access: SocketAccessLookup,
  resolve: typeof resolveListenAddress = resolveListenAddress,
): Promise<readonly PlannedListener[]> {
  const drafts: Omit<PlannedListener, 'id'>[] = [];
  const fds: { service: string; text: string; fd: number }[] = [];
  const resolved: (ResolvedAddress & { service: string; text: string; freebind: boolean | undefined })[] = [];
  for (const { name: service, listen, freebind } of config.services) {
    for (const address of listen) {
      const { text } = address;
      if (address.scheme === 'unix') {
        const target = { transport: 'unix', path: address.path, access: await access(address, service) } as const;
        drafts.push({ service, text, target, optional: false });
      } else if (address.scheme === 'fd') {
        fds.push({ service, text, fd: address.fd });
      } else if (address.scheme === 'systemd') {
        const found = passed.get(address.name);
        if (found === undefined) throw notPassed(service, text, [...passed.keys()]);
        fds.push(...found.map((fd) => ({ service, text, fd })));
      } else {
        const found = await resolve(address).catch((error: unknown) => {
          throw unresolved(service, text, error);
        });
        resolved.push(...found.map((each) => ({ ...each, service, text, freebind })));
      }
    }
  }
  for (const [one, other] of findOverlaps(resolved)) {
    const message = `${other.service}: ${other.text} overlaps with ${one.service}: ${one.text}`;
    throw new SmallservdError('LISTEN_IN_USE', message);
  }
  for (const { service, text, optional, transport, family, address, port, freebind } of resolved) {
    const at = { family, address, port, ...(freebind !== undefined && { freebind }) };
    drafts.push({ service, text, optional, target: transport === 'tcp' ? { transport, ...at } : { transport, ...at } });
  }
  const identified = await identifyInherited(fds);
  for (const { service, text, fd } of fds) {
    drafts.push({ service, text, target: identified.get(fd) as InheritedTarget, optional: false });
  }
  return drafts.map((draft, id) => ({ id, ...draft }));
}

async function identifyInherited(
  fds: readonly { service: string; text: string; fd: number }[],
): Promise<ReadonlyMap<number, InheritedTarget>> {
  const users = new Map<number, string>();
  for (const { service, text, fd } of fds) {
    const user = users.get(fd);
    if (user !== undefined)
      throw new SmallservdError('LISTEN_IN_USE', `${service}: ${text} is the same descriptor as ${user}`);
    users.set(fd, `${service}: ${text}`);
  }
  return await identifyDescriptors(users);
}

function unresolved(service: string, text: string, cause: unknown): unknown {
  if (!(cause instanceof SmallservdError)) return cause;
  return new SmallservdError(cause.code, `${service}: cannot listen on ${text}: ${cause.message}`, { cause });
}

function notPassed(service: string, text: string, names: readonly string[]): SmallservdError {
  const got = names.length === 0 ? 'no descriptors were passed' : `the names passed are ${names.join(', ')}`;
  return new SmallservdError(
    'LISTEN_NO_DESCRIPTOR',
    `${service}: ${text}: no descriptor of that name was passed to this process (LISTEN_FDNAMES); ${got}`,
  );
}

/** The fixed UDP ports in the plan. */
export function datagramPortsOf(plan: readonly PlannedListener[]): readonly number[] {
  return plan.flatMap(({ target }) =>
    target.transport === 'udp' && 'port' in target && target.port !== 0 ? [target.port] : [],
  );
}
