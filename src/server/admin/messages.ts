import * as v from 'valibot';
import type { Identity } from '../supervisor/identity.ts';
import { errorCode, explanation } from '../supervisor/reports.ts';
import type { PlannedListener } from '../transport/plan.ts';
import { maxFaultKeys } from './snapshot.ts';

/** Messages to the process that holds the endpoint. */
export type AdminOrder =
  | {
      readonly type: 'open';
      readonly listeners: readonly PlannedListener[];
      readonly hosts: readonly string[];
      /** The identity to switch to first. */
      readonly identity: Identity;
      /** Whether faults may be changed. */
      readonly canChange: boolean;
    }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown };

/** How often the process reports that it is alive. */
export const alivePeriodMs = 1000;

/** Messages from the process. It talks to strangers, so every message is validated before use. */
export type AdminReport = v.InferOutput<typeof adminReports>;

/** As long as a request header. */
const text = v.pipe(v.string(), v.maxLength(8192));

export const adminReports = v.variant('type', [
  v.strictObject({ type: v.literal('opened') }),
  /** Sent every second, to detect a hanging process. */
  v.strictObject({ type: v.literal('alive') }),
  v.strictObject({ type: v.literal('failed'), code: errorCode, message: explanation }),
  v.strictObject({
    type: v.literal('ask'),
    id: v.pipe(v.number(), v.integer(), v.minValue(1)),
    what: v.picklist(['snapshot', 'config', 'live', 'past']),
  }),
  v.strictObject({
    type: v.literal('change-faults'),
    id: v.pipe(v.number(), v.integer(), v.minValue(1)),
    change: v.strictObject({
      service: text,
      faults: v.pipe(v.record(text, text), v.maxEntries(maxFaultKeys)),
      forTime: v.nullable(text),
    }),
  }),
]);
