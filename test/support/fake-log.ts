import type { Log } from '../../src/service.ts';

export interface FakeLogRecord {
  readonly level: keyof Log;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A log that keeps what is written to it. */
export class FakeLog implements Log {
  readonly records: FakeLogRecord[] = [];

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
    this.records.push({ level, fields: { ...fields }, message });
  }
}
