import { closeSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { connectUnix, listenUnix } from '../../../../src/kernel/sockets.ts';
import { streams } from '../../../../src/kernel/streams.ts';
import { closeUnread } from '../../../../src/server/transport/unread-clients.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { until } from '../../../support/wait.ts';

// As for an unprivileged process whose limit on open files is reached.
vi.mock('../../../../src/kernel/sent-descriptors.ts', () => ({ setAside: () => false }));

function countDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

it('leaves the close of clients to other processes where the kernel keeps no more of them', async () => {
  const path = join(temporaryDirectory(), 'socket');
  const listener = listenUnix(path, 1);
  onTestFinished(() => closeSync(listener));
  const before = countDescriptors();
  const clients = Array.from({ length: 100 }, () => {
    const client = connectUnix(path);
    onTestFinished(() => closeSync(client));
    closeUnread(streams().accept(listener));
    return client;
  });
  expect(countDescriptors() - before - clients.length).toBeLessThan(64);
  await until(() => clients.every((client) => streams().receive(client) === 0), 'the end of all connections');
  await until(() => countDescriptors() - before === clients.length, 'the close of all descriptors');
});
