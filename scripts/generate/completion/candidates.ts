import type { OptionLine, Parameter } from '../command-line.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from '../../../src/server/config/schema.ts';
import { keysOf, type Section } from '../../../src/server/config/section.ts';
import { services } from '../../../src/services/index.ts';

/** What can stand in a place of a command line. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'folder' | 'host' | 'key' | 'services' | 'service-port' | 'port-name' | 'protocol' }
  | { readonly kind: 'unknown' };

const kinds: Readonly<Record<string, Exclude<Candidates['kind'], 'words'>>> = {
  file: 'file',
  folder: 'folder',
  host: 'host',
  'key=value': 'key',
  names: 'services',
  'service=number': 'service-port',
  service: 'port-name',
  protocol: 'protocol',
};

/** Of the value that an option takes. */
export function candidatesOfOption({ value, choices }: Pick<OptionLine, 'value' | 'choices'>): Candidates {
  if (choices !== undefined) return { kind: 'words', words: choices };
  return { kind: kinds[value ?? ''] ?? 'unknown' };
}

/** Of an argument by its place. */
export function candidatesOfParameter({ name, choices }: Parameter): Candidates {
  return candidatesOfOption({ value: name, choices });
}

export const serviceNames: readonly string[] = services.map(({ name }) => name);

/** What `--set` can set, for services that have the name of their kind. */
export function settableKeys(): readonly string[] {
  const common = pathsOf(commonSchema);
  return [
    ...pathsOf(daemonSchema),
    ...common.map((key) => `defaults.${key}`),
    ...services.flatMap((kind) =>
      [...pathsOf(ownSchema), ...common, ...pathsOf(optionsSchema(kind))].map((key) => `services.${kind.name}.${key}`),
    ),
  ];
}

function pathsOf(section: Section): readonly string[] {
  return [...keysOf(section)].map(({ path }) => path.join('.'));
}
