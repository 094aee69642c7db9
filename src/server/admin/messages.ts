import * as v from 'valibot';
import type { Identity } from '../supervisor/identity.ts';
import { errorCode, explanation } from '../supervisor/reports.ts';
import type { PlannedListener } from '../transport/plan.ts';

/** What the process that holds the endpoint is told. */
export type AdminOrder =
  | {
      readonly type: 'open';
      readonly listeners: readonly PlannedListener[];
      readonly hosts: readonly string[];
      /** Whom to become first. */
      readonly identity: Identity;
    }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown };

/** How often it tells that it lives. */
export const alivePeriodMs = 1000;

/** What it tells. It talks to strangers: nothing of it is read before it has been checked. */
export type AdminReport = v.InferOutput<typeof adminReports>;

export const adminReports = v.variant('type', [
  v.strictObject({ type: v.literal('opened') }),
  /** Every second, so that it shows whether the process hangs. */
  v.strictObject({ type: v.literal('alive') }),
  v.strictObject({ type: v.literal('failed'), code: errorCode, message: explanation }),
  v.strictObject({
    type: v.literal('ask'),
    id: v.pipe(v.number(), v.integer(), v.minValue(1)),
    what: v.picklist(['snapshot', 'config']),
  }),
]);
