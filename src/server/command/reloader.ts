import type { Logger } from 'pino';
import type { Clock } from '../../clock/clock.ts';
import { configDifferences, formatDifference } from '../config/difference.ts';
import { standardInput } from '../config/source.ts';
import { type ErrorCode, SmallservdError } from '../../errors.ts';
import type { ReloadRecord } from '../admin/live.ts';
import type { ReloadResult } from '../admin/snapshot.ts';
import { needsRestart } from '../supervisor/listener-changes.ts';
import type { Identity } from '../supervisor/identity.ts';
import type { RunningListener } from '../running-daemon.ts';
import { socketAccessFor } from '../supervisor/socket-access.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { formatBoundAddress } from '../transport/listener.ts';
import { type PlannedListener, planListeners } from '../transport/plan.ts';
import type { ConfigOptions } from './config-options.ts';
import { type PreparedConfig, prepare } from './prepare.ts';
import { logListeners, warnOf } from './announcements.ts';

export interface ReloaderOptions {
  readonly command: ConfigOptions;
  /** Descriptors that the service manager passed at startup. */
  readonly passed: ReadonlyMap<string, readonly number[]>;
  readonly clock: Clock;
  readonly log: Logger;
  onStart(): void;
  /** The workers now serve another config, and run as `identity`. */
  onReplaced(identity: Identity | null): void;
  onEnd(): void;
}

/** How many results of reloads are kept, and how much of an error. */
const recordsKept = 20;
const errorCharactersKept = 300;

/** Reloads the config and makes the supervisor serve it, one reload at a time. */
export class Reloader {
  /** The config being served. */
  current: PreparedConfig;
  attempts = 0;
  failures = 0;
  #last: Omit<ReloadResult, 'agoMs'> | undefined;
  #lastEndedMs = 0;
  /** ISO 8601. */
  lastSuccessAt: string | undefined;
  /** The last reloads, newest first. */
  records: readonly ReloadRecord[] = [];
  readonly #options: ReloaderOptions;
  readonly #supervisor: Supervisor | undefined;
  #running: Promise<void> | undefined;
  #isAskedAgain = false;

  /** Without a supervisor every reload fails with an error. */
  constructor(supervisor: Supervisor | undefined, prepared: PreparedConfig, options: ReloaderOptions) {
    this.#supervisor = supervisor;
    this.current = prepared;
    this.#options = options;
  }

  get last(): ReloadResult | undefined {
    if (this.#last === undefined) return undefined;
    return { ...this.#last, agoMs: Math.round(this.#options.clock.monotonicMs() - this.#lastEndedMs) };
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** A reload requested while another is in progress runs after it, so that later changes are read, too. */
  reload(): void {
    this.#isAskedAgain = true;
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async #work(): Promise<void> {
    while (this.#isAskedAgain) {
      this.#isAskedAgain = false;
      await this.#reloadOnce();
    }
  }

  async #reloadOnce(): Promise<void> {
    const { clock, log } = this.#options;
    const startedMs = clock.monotonicMs();
    this.attempts += 1;
    this.#options.onStart();
    let errors: readonly string[] = [];
    let code: ErrorCode | undefined;
    try {
      await this.#replace();
    } catch (error) {
      const known = error instanceof SmallservdError ? error : undefined;
      errors = (known?.message ?? String(error)).split('\n');
      code = known?.code;
      this.failures += 1;
      log.error({ code, errors }, 'reload failed, keeping the running config');
    }
    this.#lastEndedMs = clock.monotonicMs();
    const tookMs = Math.round(this.#lastEndedMs - startedMs);
    const at = clock.now().toISOString();
    this.#last = { succeeded: errors.length === 0, at, tookMs, code, errors };
    const error = errors[0]?.slice(0, errorCharactersKept) ?? null;
    this.records = [{ at, tookMs, error, errors: errors.length }, ...this.records].slice(0, recordsKept);
    this.#options.onEnd();
    if (errors.length > 0) return;
    this.lastSuccessAt = at;
    log.info({ ms: tookMs }, 'config reloaded');
  }

  async #replace(): Promise<void> {
    const { command, passed, log } = this.#options;
    log.info({}, 'reloading');
    const supervisor = this.#supervisor;
    if (supervisor === undefined)
      throw new SmallservdError('RELOAD_NEEDS_RESTART', 'a daemon without workers cannot reload: restart it');
    if (command.config === standardInput)
      throw new SmallservdError(
        'RELOAD_NEEDS_RESTART',
        'a config from standard input cannot be read again: start with --config FILE to be able to reload',
      );
    const next = await prepare(command);
    const { identity } = next;
    const { config } = next.loaded;
    this.#refuseRestarts(next);
    const plan = await planListeners(config, passed, socketAccessFor(identity));
    const changes = supervisor.changes(plan);
    const { added, removed, kept } = changes;
    const changed = configDifferences(this.current.loaded.printed, next.loaded.printed).map(formatDifference);
    const fields = { added: added.map(describe), removed: removed.map(describe), kept: kept.length, changed };
    log.info(fields, 'config changes');
    const before = new Set(supervisor.listeners.map(nameOf));
    const generation = { config, source: next.source, plan, identity };
    // Not twice in a row, or starved workers would never get the time that they need.
    const mayGiveWay = this.#last?.code !== 'RELOAD_CUT_SHORT';
    await supervisor.reload(generation, changes, () => mayGiveWay && this.#isAskedAgain);
    this.current = next;
    this.#options.onReplaced(identity);
    log.level = config.log.level;
    logListeners(
      supervisor.listeners.filter((each) => !before.has(nameOf(each))),
      log,
    );
    warnOf(config, log);
  }

  /** Throws `RELOAD_NEEDS_RESTART` for changes to keys that are fixed for the lifetime of the process. */
  #refuseRestarts({ loaded: { config } }: PreparedConfig): void {
    const old = this.current.loaded.config;
    const fixed: readonly (readonly [key: string, before: string | null, after: string | null])[] = [
      ['log.file', old.log.file, config.log.file],
      ['admin.listen', old.admin.listen?.text ?? null, config.admin.listen?.text ?? null],
      ['admin.hosts', `[${old.admin.hosts.join(', ')}]`, `[${config.admin.hosts.join(', ')}]`],
    ];
    const lines = fixed.flatMap(([key, before, after]) =>
      before === after ? [] : [`${key} from ${before} to ${after}`],
    );
    if (config.workers === 0) lines.push(`workers from ${old.workers} to 0`);
    if (lines.length > 0) throw needsRestart(...lines);
  }
}

function nameOf(listener: RunningListener): string {
  return `${listener.service} ${formatBoundAddress(listener)}`;
}

function describe({ service, text, target }: PlannedListener): string {
  return `${service} ${'port' in target ? formatBoundAddress(target) : text}`;
}
