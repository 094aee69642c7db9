import type { Clock } from '../../clock/clock.ts';
import { Deferred } from '../../deferred.ts';
import type { RunningDaemon } from '../running-daemon.ts';

/** Two signals closer together count as one: Ctrl-C under npm arrives twice, from the terminal and from npm. */
const sameSignalMs = 1000;

/** What signals do apart from ending the daemon. */
export interface SignalHandlers {
  hangUp(): void;
  reopenLog(): void;
  /** The daemon has been told to end. */
  stopping(): void;
}

/** Where signals come from: the process. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
}

/**
 * TERM and INT stop the daemon gracefully, and a second one at once. QUIT stops it at once. HUP reopens the log file
 * and reloads the config. USR1 only reopens the log file, as in nginx. USR2 logs the state. Signals are caught from
 * construction on. A reload requested before the daemon exists is delivered when it does, and an early stop resolves
 * `stoppedEarly`.
 */
export class Signals {
  readonly #stoppedEarly = new Deferred<void>();
  /** Resolves if the daemon is told to stop before it exists. */
  readonly stoppedEarly: Promise<void> = this.#stoppedEarly.promise;
  readonly #clock: Clock;
  #daemon: Pick<RunningDaemon, 'stop' | 'destroy' | 'logState'> | undefined;
  #handlers: SignalHandlers | undefined;
  #askedMs: number | undefined;
  #atOnce = false;
  #hungUp = false;

  constructor(clock: Clock, source: SignalSource = process) {
    this.#clock = clock;
    source.on('SIGTERM', () => this.#stop());
    source.on('SIGINT', () => this.#stop());
    source.on('SIGQUIT', () => this.#destroy());
    source.on('SIGHUP', () => this.#hangUp());
    source.on('SIGUSR1', () => this.#handlers?.reopenLog());
    source.on('SIGUSR2', () => this.#daemon?.logState());
  }

  deliverTo(daemon: Pick<RunningDaemon, 'stop' | 'destroy' | 'logState'>, handlers: SignalHandlers): void {
    this.#daemon = daemon;
    this.#handlers = handlers;
    if (this.#atOnce) daemon.destroy();
    else if (this.#askedMs !== undefined) void daemon.stop();
    if (this.#atOnce || this.#askedMs !== undefined) handlers.stopping();
    else if (this.#hungUp) handlers.hangUp();
  }

  #hangUp(): void {
    this.#hungUp = true;
    this.#handlers?.hangUp();
  }

  #stop(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#askedMs === undefined) {
      this.#askedMs = nowMs;
      this.#handlers?.stopping();
      if (this.#daemon === undefined) this.#stoppedEarly.resolve();
      else void this.#daemon.stop();
    } else if (nowMs - this.#askedMs > sameSignalMs) {
      this.#destroy();
    }
  }

  #destroy(): void {
    this.#atOnce = true;
    if (this.#daemon === undefined) this.#stoppedEarly.resolve();
    else this.#daemon.destroy();
  }
}
