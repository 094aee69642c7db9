import { stringify } from 'yaml';
import type { LoadedConfig } from './loaded-config.ts';
import { type Printed, readDefaults } from './reading.ts';
import { daemonSchema } from './schema.ts';
import { sectionOf } from './service-section.ts';

/** Prints a config as YAML. Loading it yields the same config. */
export function printYaml(printed: Printed): string {
  return stringify(printed, {
    lineWidth: 0,
    version: '1.2',
    schema: 'core',
    aliasDuplicateObjects: false,
  });
}

/** Returns the config without values equal to the defaults. */
export function withoutDefaults({ config, printed, modules }: LoadedConfig): Printed {
  const services = printed['services'] as Readonly<Record<string, Printed>>;
  const brief = config.services.map(({ name, type, moduleUrl }) => {
    const module = modules.get(name);
    const defaults = readDefaults(sectionOf(module, moduleUrl === undefined)).printed;
    const implied = moduleUrl === undefined && type === name ? { type } : {};
    return [name, difference(services[name] ?? {}, { ...defaults, ...implied })] as const;
  });
  return {
    ...difference(printed, { ...readDefaults(daemonSchema).printed, services }),
    services: Object.fromEntries(brief),
  };
}

function difference(printed: Printed, defaults: Printed): Printed {
  const entries = Object.entries(printed).flatMap(([key, value]): [string, unknown][] => {
    const usual = defaults[key];
    if (isMap(value) && isMap(usual)) {
      const below = difference(value, usual);
      return Object.keys(below).length === 0 ? [] : [[key, below]];
    }
    return JSON.stringify(value) === JSON.stringify(usual) ? [] : [[key, value]];
  });
  return Object.fromEntries(entries);
}

function isMap(value: unknown): value is Printed {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
