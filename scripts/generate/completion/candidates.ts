import type { OptionLine, Parameter } from '../command-line.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from '../../../src/server/config/schema.ts';
import { keysOf, type Section } from '../../../src/server/config/section.ts';
import { services } from '../../../src/services/index.ts';

/** What can be completed at a position of a command line. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'directory' | 'host' | 'key' | 'services' | 'service-port' | 'port-name' | 'protocol' }
  | { readonly kind: 'unknown' };

const kinds: Readonly<Record<string, Exclude<Candidates['kind'], 'words'>>> = {
  file: 'file',
  directory: 'directory',
  host: 'host',
  'key=value': 'key',
  names: 'services',
  'service=number': 'service-port',
  service: 'port-name',
  protocol: 'protocol',
};

/** Candidates for the value of an option. */
export function candidatesOfOption({ value, choices }: Pick<OptionLine, 'value' | 'choices'>): Candidates {
  if (choices !== undefined) return { kind: 'words', words: choices };
  return { kind: kinds[value ?? ''] ?? 'unknown' };
}

/** Candidates for a positional argument. */
export function candidatesOfParameter({ name, choices }: Parameter): Candidates {
  if (name === 'services') return { kind: 'words', words: serviceNames };
  return candidatesOfOption({ value: name, choices });
}

export const serviceNames: readonly string[] = services.map(({ name }) => name);

/** Keys that `--set` can set, for services named after their type. */
export function settableKeys(): readonly string[] {
  const common = pathsOf(commonSchema);
  return [
    ...pathsOf(daemonSchema),
    ...common.map((key) => `defaults.${key}`),
    ...services.flatMap((module) =>
      [...pathsOf(ownSchema), ...common, ...pathsOf(optionsSchema(module))].map(
        (key) => `services.${module.name}.${key}`,
      ),
    ),
  ];
}

function pathsOf(section: Section): readonly string[] {
  return [...keysOf(section)].map(({ path }) => path.join('.'));
}
