import { type Daemon, type Faults, startDaemon } from 'smallservd';
import { test as base } from 'vitest';

interface Fixtures {
  /** How the daemon misbehaves from the start. */
  readonly faults: Faults;
  /** A daemon of this test alone, which is closed at its end. */
  readonly daemon: Daemon;
  /** Where its echo service listens: the system chooses a port that is free. */
  readonly port: number;
}

export const test = base.extend<Fixtures>({
  faults: {},
  daemon: async ({ faults }, use) => {
    const daemon = await startDaemon({ services: { echo: { listen: 'tcp://127.0.0.1:0', faults } } });
    await use(daemon);
    await daemon.close(0);
  },
  port: async ({ daemon }, use) => {
    await use(daemon.listeners[0]?.port ?? 0);
  },
});
