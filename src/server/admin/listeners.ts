import type { ListenOptions } from 'node:net';
import { isFamilyMissing, openError, unservedError } from '../transport/open-error.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { AdminServer } from './server.ts';
import type { SnapshotSource } from './snapshot.ts';

/**
 * Opens the endpoint on all its addresses. If a name was given, address families that the machine lacks are skipped. On
 * failure, rejects with the listener's error and leaves nothing open.
 */
export async function openAdminServer(
  plan: readonly PlannedListener[],
  source: SnapshotSource,
  hosts: readonly string[],
): Promise<AdminServer> {
  const server = new AdminServer(source, hosts);
  let open = 0;
  for (const planned of plan) {
    try {
      await server.open(listenOptions(planned));
      open += 1;
    } catch (error) {
      if (planned.optional && isFamilyMissing(error)) continue;
      server.close();
      throw openError(planned, error);
    }
  }
  const [first] = plan;
  if (first !== undefined && open === 0) throw unservedError(first);
  return server;
}

/** `exclusive`, because neither the supervisor nor its child shares the socket. */
function listenOptions({ target }: PlannedListener): ListenOptions {
  if ('fd' in target) return { fd: target.fd, exclusive: true } as ListenOptions;
  if (target.transport === 'unix') return { path: target.path, exclusive: true };
  return { host: target.address, port: target.port, ipv6Only: target.family === 'ipv6', exclusive: true };
}
