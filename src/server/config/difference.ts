/** One key whose value differs between two configs, as JSON; undefined where the key is missing. */
export interface Difference {
  /** Such as `services.echo.idleTimeout`. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Lists where two configs from `configToJson` differ. Maps are compared key by key, lists as a unit. */
export function configDifferences(before: unknown, after: unknown): readonly Difference[] {
  return [...differencesAt([], before, after)];
}

/** `services.echo.idleTimeout: "5m" → "1m"`. A service that was added or removed is `+` or `-`. */
export function formatDifference({ path, before, after }: Difference): string {
  if (before === undefined) return `+ ${path}: ${JSON.stringify(after)}`;
  if (after === undefined) return `- ${path}: ${JSON.stringify(before)}`;
  return `~ ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`;
}

function* differencesAt(path: readonly string[], before: unknown, after: unknown): Generator<Difference> {
  if (isMap(before) && isMap(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      yield* differencesAt([...path, key], valueOf(before, key), valueOf(after, key));
  } else if (JSON.stringify(before) !== JSON.stringify(after)) {
    yield { path: path.join('.'), before, after };
  }
}

function valueOf(map: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
