import type { SpawnOptions } from 'node:child_process';
import type { Logger } from 'pino';
import { expect, it, onTestFinished, vi } from 'vitest';
import { parseListenAddress } from '../../../../src/address/listen-address.ts';
import { systemClock } from '../../../../src/clock/clock.ts';
import { openAdminEndpoint } from '../../../../src/server/admin/endpoint.ts';
import type * as childProcess from '../../../../src/server/child-process.ts';
import { socketAccessFor } from '../../../../src/server/supervisor/socket-access.ts';
import { planListeners } from '../../../../src/server/transport/plan.ts';
import { root } from '../../../support/daemon-process.ts';
import { FakeLog } from '../../../support/fake-log.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/wait.ts';
import { pageSource } from './live.ts';
import { snapshot } from './snapshot.ts';

// The process is started as built.
vi.mock('../../../../src/server/child-process.ts', async (original) => {
  const { spawnChild } = await original<typeof childProcess>();
  return {
    spawnChild: (command: string, args: readonly string[], options: SpawnOptions) => {
      const built = args.map((each) => each.replace(`${root}src/`, `${root}dist/`));
      return spawnChild(command, built, options);
    },
  };
});

// Only under root is there a process.
it.runIf(process.geteuid?.() === 0)('replaces the admin process if an answer to it fails', async () => {
  const port = await freePort();
  const listen = [parseListenAddress(`tcp://127.0.0.1:${port}`, () => undefined)];
  const plan = await planListeners({ services: [{ name: 'admin', listen }] }, new Map(), socketAccessFor(null));
  const log = new FakeLog();
  let fails = true;
  const source = {
    ...pageSource,
    snapshot: async () => {
      if (fails) throw new Error('a bug');
      return snapshot({ version: '1.2.3' });
    },
    config: async () => ({}),
  };
  const endpoint = await openAdminEndpoint(source, {
    plan,
    hosts: [],
    identity: { user: 'nobody', uid: 65_534, gid: 65_534 },
    hasClients: false,
    clock: systemClock,
    log: log as unknown as Logger,
  });
  onTestFinished(async () => endpoint.close());
  const url = `http://127.0.0.1:${port}/status`;
  await expect(fetch(url)).rejects.toThrow();
  const says = 'cannot answer admin process, killing it';
  expect(log.records).toContainEqual({ level: 'error', fields: { err: new Error('a bug') }, message: says });
  fails = false;
  await until(() => log.records.some(({ message }) => message === 'admin process exited, restarting'), 'its end');
  // The supervisor keeps the socket, so this waits for the next process.
  expect(await (await fetch(url)).json()).toMatchObject({ version: '1.2.3' });
});
