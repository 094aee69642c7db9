import { nearestWord } from '../../suggestion.ts';
import type { Path } from './raw.ts';
import { commonSchema, daemonSchema } from './schema.ts';
import { keysOf } from './section.ts';

/** Prefix of our environment variables. */
export const prefix = 'SMALLSERVD_';

/** Returns the environment variable that sets a key: `SMALLSERVD_SERVICES__ECHO_LAN__IDLE_TIMEOUT`. */
export function environmentName(path: Path): string {
  const segments = path.map((step) => String(step).replaceAll('-', '_').replace(/[A-Z]/g, '_$&').toUpperCase());
  return prefix + segments.join('__');
}

/** Names the config file; it does not set a key. */
export const configVariable = `${prefix}CONFIG`;

interface EnvironmentValue {
  readonly variable: string;
  readonly path: readonly string[];
  readonly text: string;
}

/** A variable with our prefix that does not set a key. */
interface UnknownVariable {
  readonly variable: string;
  readonly message: string;
}

/**
 * Reads the variables that set keys. An empty variable sets nothing. `services` lists the known services, whose names
 * cannot be derived from the variable alone (`ECHO_LAN`). Skips variables that Kubernetes sets for a Service with our
 * name.
 */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  services: Iterable<string>,
): { readonly values: readonly EnvironmentValue[]; readonly unknown: readonly UnknownVariable[] } {
  const names = new Map([...services].map((name) => [environmentName([name]).slice(prefix.length), name]));
  const values: EnvironmentValue[] = [];
  const unknown: UnknownVariable[] = [];
  for (const [variable, text = ''] of Object.entries(env).toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    if (!variable.startsWith(prefix) || text === '' || variable === configVariable || isFromKubernetes(variable))
      continue;
    const segments = variable.slice(prefix.length).split('__');
    if (segments.length > 1 || topVariables.has(variable))
      values.push({ variable, path: pathOf(segments, names), text });
    else unknown.push({ variable, message: `is not a smallservd variable${explain(variable)}` });
  }
  return { values, unknown };
}

/** https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
function isFromKubernetes(variable: string): boolean {
  const tail = /^(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
  // A Service may be named smallservd-admin, so the words before the match can be part of its name.
  const words = variable.slice(prefix.length).split('_');
  return !words.includes('') && words.some((_word, index) => tail.test(words.slice(index).join('_')));
}

const topVariables = new Set(
  [...Object.keys(daemonSchema), 'defaults', 'services'].map((key) => environmentName([key])),
);

function pathOf(segments: readonly string[], services: ReadonlyMap<string, string>): readonly string[] {
  return segments.map((segment, index) => {
    if (index === 1 && segments[0] === 'SERVICES') {
      return services.get(segment) ?? segment.toLowerCase().replaceAll('_', '-');
    }
    return segment.toLowerCase().replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase());
  });
}

function explain(variable: string): string {
  const ofDaemon = [...keysOf(daemonSchema)].map(({ path }) => environmentName(path));
  const ofDefaults = [...keysOf(commonSchema)].map(({ path }) => environmentName(['defaults', ...path]));
  const known = [...ofDaemon, ...ofDefaults, configVariable];
  const oneUnderscore = known.find((name) => name.replaceAll('__', '_') === variable);
  const meant = oneUnderscore ?? nearestWord(variable, known);
  if (meant !== undefined) return `; did you mean ${meant}?`;
  return ': expected SMALLSERVD_CONFIG, or a key such as SMALLSERVD_LOG__LEVEL, with two underscores between its levels';
}
