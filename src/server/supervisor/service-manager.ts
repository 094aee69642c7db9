import { execFile } from 'node:child_process';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '../../clock/clock.ts';

/** Sends fields of sd_notify(3), such as `READY=1`. Rejects where that fails. */
export type Notify = (fields: readonly string[]) => Promise<void>;

export interface ServiceManagerOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: systemd-notify(1), because Node has no UNIX datagram sockets. */
  readonly notify?: Notify;
}

/** The daemon's condition as reported to the service manager. */
export interface Condition {
  /** One line for `systemctl status`. */
  readonly status: string;
  /** Whether clients can be served. False if no worker can, and the watchdog is then not fed. */
  readonly isHealthy: boolean;
}

/** How often the status line is checked. It is sent if it has changed. */
const statusPeriodMs = 10_000;

/** Reports the daemon's condition to systemd. Does nothing if NOTIFY_SOCKET is not set. */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #notify: Notify | undefined;
  readonly #cancels: Cancel[] = [];
  #status = '';
  #hasFailed = false;
  #isStopping = false;
  /** The last message in progress: messages must not overtake each other. */
  #sending: Promise<void> = Promise.resolve();

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    const socket = options.environment['NOTIFY_SOCKET'];
    this.#notify = socket === undefined ? undefined : (options.notify ?? bySystemdNotify(socket));
  }

  /** Called once all listeners are open. Then checks the condition periodically and feeds the watchdog. */
  ready(condition: () => Condition): void {
    if (this.#notify === undefined) return;
    this.#status = condition().status;
    this.#send(['READY=1', `STATUS=${this.#status}`]);
    const { clock } = this.#options;
    this.#cancels.push(clock.every(statusPeriodMs, () => this.#sendStatus(condition().status)));
    const allowedMs = watchdogMs(this.#options);
    if (allowedMs === undefined) return;
    const feed = (): void => {
      if (condition().isHealthy) this.#send(['WATCHDOG=1']);
    };
    // Half the time that systemd allows, as sd_watchdog_enabled(3) recommends.
    this.#cancels.push(clock.every(allowedMs / 2, feed));
  }

  reloading(): void {
    if (this.#isStopping) return;
    this.#send(['RELOADING=1', 'STATUS=reloading']);
  }

  /** Called after `reloading`, whatever the result. */
  reloaded(status: string): void {
    if (this.#isStopping) return;
    this.#status = status;
    this.#send(['READY=1', `STATUS=${status}`]);
  }

  /** The last notification: a reload in progress ends without one. */
  stopping(): void {
    this.#isStopping = true;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#send(['STOPPING=1', 'STATUS=waiting for clients to finish']);
  }

  #sendStatus(status: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#send([`STATUS=${status}`]);
  }

  #send(fields: readonly string[]): void {
    const notify = this.#notify;
    if (notify === undefined) return;
    this.#sending = this.#sending
      .then(async () => notify(fields))
      .catch((error: unknown) => {
        if (!this.#hasFailed) this.#options.log.warn({ err: error }, 'cannot notify the service manager');
        this.#hasFailed = true;
      });
  }
}

/** Undefined: no watchdog. */
function watchdogMs({ environment, pid }: ServiceManagerOptions): number | undefined {
  const { WATCHDOG_USEC: microseconds = '', WATCHDOG_PID: owner } = environment;
  const isOurs = owner === undefined || owner === String(pid);
  return isOurs && /^\d{1,15}$/.test(microseconds) && Number(microseconds) > 0
    ? Number(microseconds) / 1000
    : undefined;
}

function bySystemdNotify(socket: string): Notify {
  return async (fields) =>
    new Promise((resolve, reject) => {
      execFile(
        'systemd-notify',
        [...fields],
        { env: { ...process.env, NOTIFY_SOCKET: socket }, timeout: 5000 },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
}
