import type { Live, Past, PageSource } from '../../../../src/server/admin/live.ts';
import { snapshot } from './snapshot.ts';

/** What the page shows of that daemon, with changes. */
export function live(changes: Partial<Live> = {}): Live {
  return {
    status: { ...snapshot(), clock: { isSet: true, isSynchronized: true, errorMs: 1.5 } },
    points: { second: null, minute: null },
    faults: {},
    reloads: [],
    log: [],
    ...changes,
  };
}

/** Of a daemon that has just started. */
export const noPast: Past = { seconds: { times: [], values: {} }, minutes: { times: [], values: {} }, requests: {} };

/** For sources that are not asked for the page. */
export const pageSource: PageSource = { live: async () => live(), past: async () => noPast };
