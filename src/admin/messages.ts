import type { ErrorCode } from '../errors.ts';
import type { Identity } from '../supervisor/identity.ts';
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

/** What it tells. */
export type AdminReport =
  | { readonly type: 'opened' }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'ask'; readonly id: number; readonly what: 'snapshot' | 'config' };
