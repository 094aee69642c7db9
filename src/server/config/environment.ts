import { commonSchema, daemonSchema, ownSchema } from './schema.ts';
import { leavesOf } from './section.ts';
import { nearestWord } from '../../suggestion.ts';
import type { Path } from './raw.ts';

const prefix = 'SMALLSERVD_';

/** The environment variable that overrides a key: `SMALLSERVD_SERVICES__ECHO_LAN__IDLE_TIMEOUT`. */
export function environmentName(path: Path): string {
  const segments = path.map((step) => String(step).replaceAll('-', '_').replace(/[A-Z]/g, '_$&').toUpperCase());
  return prefix + segments.join('__');
}

export interface EnvironmentValue {
  readonly variable: string;
  readonly path: readonly string[];
  readonly text: string;
}

/** A variable that is meant for us but is none of ours. */
export interface StrangeVariable {
  readonly variable: string;
  readonly message: string;
}

/**
 * Reads the variables that override keys. `instances` are the services known so far, whose names cannot be told from
 * the variable alone (`ECHO_LAN`). Variables that Kubernetes sets for a Service of our name are passed over.
 */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  instances: Iterable<string>,
): { readonly values: readonly EnvironmentValue[]; readonly strange: readonly StrangeVariable[] } {
  const names = new Map([...instances].map((name) => [segmentOf(name), name]));
  const values: EnvironmentValue[] = [];
  const strange: StrangeVariable[] = [];
  for (const [variable, text] of Object.entries(env).toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    if (!variable.startsWith(prefix) || text === undefined || isFromKubernetes(variable)) continue;
    const segments = variable.slice(prefix.length).split('__');
    if (segments.length > 1 || isDaemonKey(variable)) values.push({ variable, path: pathOf(segments, names), text });
    else {
      const message = explainStrange(variable);
      if (message !== undefined) strange.push({ variable, message });
    }
  }
  return { values, strange };
}

/** https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
function isFromKubernetes(variable: string): boolean {
  const tail = /^(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
  // A Service may be named smallservd-admin: what stands before is part of its name.
  const words = variable.slice(prefix.length).split('_');
  return !words.includes('') && words.some((_word, index) => tail.test(words.slice(index).join('_')));
}

function isDaemonKey(variable: string): boolean {
  return Object.keys(daemonSchema).some((key) => environmentName([key]) === variable) || isSectionName(variable);
}

function isSectionName(variable: string): boolean {
  return variable === environmentName(['services']) || variable === environmentName(['defaults']);
}

function pathOf(segments: readonly string[], instances: ReadonlyMap<string, string>): readonly string[] {
  return segments.map((segment, index) => {
    if (index === 1 && segments[0] === 'SERVICES') {
      return instances.get(segment) ?? segment.toLowerCase().replaceAll('_', '-');
    }
    return segment.toLowerCase().replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase());
  });
}

function segmentOf(instance: string): string {
  return environmentName([instance]).slice(prefix.length);
}

/** Undefined for a variable that may well be somebody else's. */
function explainStrange(variable: string): string | undefined {
  const known = [...leavesOf(daemonSchema)].map(({ path }) => environmentName(path));
  const common = [...leavesOf({ ...commonSchema, ...ownSchema })].map(({ path }) =>
    environmentName(['defaults', ...path]),
  );
  const oneUnderscore = [...known, ...common].find((name) => name.replaceAll('__', '_') === variable);
  const meant = oneUnderscore ?? nearestWord(variable, known);
  if (meant !== undefined) return `is not a variable of smallservd; did you mean ${meant}?`;
  if (/^SMALLSERVD_(SERVICES|DEFAULTS)_/.test(variable)) {
    return 'is not a variable of smallservd: expected two underscores between the levels of a key';
  }
  return undefined;
}
