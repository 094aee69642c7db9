import type { AnyServiceModule } from '../../services/index.ts';
import { commonSchema, optionsSchema, ownSchema } from './schema.ts';
import type { Section } from './section.ts';

/** The keys that every service has. */
export const plainSection = { ...ownSchema, ...commonSchema };

const ofModules = new WeakMap<AnyServiceModule, Section>();

/**
 * Returns the keys of a service of this module: those that every service has, and the module's options, next to them if
 * the module is built in, else under `options`.
 */
export function sectionOf(module: AnyServiceModule | undefined, isBuiltIn: boolean): Section {
  if (module === undefined) return plainSection;
  const known = ofModules.get(module);
  if (known !== undefined) return known;
  const options = optionsSchema(module);
  const { maxAmplification } = commonSchema;
  const section: Section = {
    ...plainSection,
    maxAmplification: { ...maxAmplification, default: module.maxAmplification ?? maxAmplification.default },
    ...(isBuiltIn ? options : { options }),
  };
  ofModules.set(module, section);
  return section;
}
