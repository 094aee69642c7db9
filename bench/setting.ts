import type { LoadProgram } from './load-generator.ts';
import type { Place } from './place.ts';
import type { Plan } from './plan.ts';

/** What measurements need to know. */
export interface Setting {
  readonly plan: Plan;
  readonly load: LoadProgram;
  readonly serverPlace: Place;
  /** For logs and configs of servers. */
  readonly directory: string;
  /** Whether there is no time to begin anything more. */
  readonly isOver: () => boolean;
  /** Tells what was not measured. */
  readonly remark: (text: string) => void;
}
