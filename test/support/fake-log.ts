import type { LeveledLog } from '../../src/server/budgeted-log.ts';
import type { Log } from '../../src/service.ts';

export interface FakeLogRecord {
  readonly level: keyof Log;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

const levels: readonly (keyof Log)[] = ['debug', 'info', 'warn', 'error'];

/** A log that keeps what is written to it. */
export class FakeLog implements LeveledLog {
  readonly records: FakeLogRecord[];
  readonly #bindings: object;
  /** The least important level that it writes. */
  level: keyof Log = 'debug';

  /** `bindings` stand in each of its lines. */
  constructor(records: FakeLogRecord[] = [], bindings: object = {}) {
    this.records = records;
    this.#bindings = bindings;
  }

  /** A log that keeps its lines here, too. */
  child(bindings: object): FakeLog {
    return new FakeLog(this.records, bindings);
  }

  isLevelEnabled(level: keyof Log): boolean {
    return levels.indexOf(level) >= levels.indexOf(this.level);
  }

  debug(fields: object, message: string): void {
    this.#record('debug', fields, message);
  }

  info(fields: object, message: string): void {
    this.#record('info', fields, message);
  }

  warn(fields: object, message: string): void {
    this.#record('warn', fields, message);
  }

  error(fields: object, message: string): void {
    this.#record('error', fields, message);
  }

  #record(level: keyof Log, fields: object, message: string): void {
    if (this.isLevelEnabled(level)) this.records.push({ level, fields: { ...this.#bindings, ...fields }, message });
  }
}
