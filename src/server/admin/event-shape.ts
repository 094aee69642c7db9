import * as v from 'valibot';
import type { EventValues, PageEvent, PageEventName } from './live.ts';
import { faultOf, number, statusShape, text, time, word } from './snapshot-shape.ts';

const values = v.record(word, number);
const point = v.nullable(v.looseObject({ time: number, values }));
/** A value that is not known is null. */
const series = v.record(word, v.array(v.nullable(number)));
const points = v.looseObject({ times: v.array(number), values: series });
const fields = v.record(v.string(), v.unknown());

const logEntry = v.looseObject({ level: word, time: v.optional(word), message: text, fields });

/** What each event has for a value. Unknown keys are ignored. */
const shapes = {
  past: v.looseObject({ seconds: points, minutes: points, requests: series }),
  status: v.looseObject({
    ...statusShape.entries,
    clock: v.looseObject({ isSet: v.boolean(), isSynchronized: v.nullable(v.boolean()), errorMs: number }),
  }),
  points: v.looseObject({ second: point, minute: point }),
  faults: v.record(word, fields),
  reloads: v.array(v.looseObject({ at: time, tookMs: number, error: v.nullable(text), errors: number })),
  // Workers write most of an entry. One that is not valid must not hide everything else.
  log: v.pipe(
    v.array(v.unknown()),
    v.transform((entries) => entries.filter((entry) => v.is(logEntry, entry))),
  ),
} as const satisfies Readonly<Record<PageEventName, v.GenericSchema>>;

/** The events that we know. */
export const eventNames = Object.keys(shapes) as readonly PageEventName[];

/** Validates an event that a daemon, or anything in its place, sends. `fault` is the path of the first bad value. */
export function checkEvent(
  name: PageEventName,
  value: unknown,
): { readonly event: PageEvent } | { readonly fault: string } {
  const result = v.safeParse(shapes[name], value, { abortEarly: true });
  if (!result.success) return { fault: faultOf(result.issues) };
  return { event: { name, value: result.output as unknown as EventValues[typeof name] } as PageEvent };
}

/** Whether it is an event that we know. A daemon of another version may have others. */
export function isEventName(name: string): name is PageEventName {
  return Object.hasOwn(shapes, name);
}
