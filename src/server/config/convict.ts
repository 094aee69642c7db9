import convict from 'convict';
import { environmentName } from './environment.ts';
import { formats } from './formats.ts';
import type { Path, Raw } from './raw.ts';
import { isKey, type Section } from './section.ts';

type Tree = { readonly [key: string]: unknown };

/** Raw values as convict holds them, in objects. */
export type Defaults = { readonly [key: string]: Raw | Defaults };

for (const [name, format] of Object.entries(formats)) {
  convict.addFormat({
    // Convict's formats are global to the process, and ours differ from its built-in formats of the same name.
    name: `smallservd ${name}`,
    validate(raw: Raw) {
      const reading = format.read(raw, '/');
      if ('flaws' in reading) throw new Error(reading.flaws[0]?.message);
    },
    // The format reads each value once. Nothing is guessed.
    coerce: (raw: unknown) => raw,
  });
}

/**
 * Returns the defaults of the keys that a section declares. Throws convict's Error for a wrong declaration: an unknown
 * format, a default that its format rejects or a name that convict reserves.
 */
export function defaultsOf(section: Section): Defaults {
  // Convict must not read the process: the environment has already been laid over the file.
  const declared = convict<Tree>(convictSchema(section, []), { env: {}, args: [] });
  declared.validate({ allowed: 'strict' });
  return declared.getProperties() as Defaults;
}

function convictSchema(section: Section, path: Path): convict.Schema<Tree> {
  const schema = Object.entries(section).map(([name, node]): [string, unknown] => {
    const here = [...path, name];
    if (!isKey(node)) return [name, convictSchema(node, here)];
    const { doc, default: value } = node;
    const format = typeof node.format === 'string' ? `smallservd ${node.format}` : [...node.format];
    return [name, { doc, format, default: value, nullable: value === null, env: environmentName(here) }];
  });
  return Object.fromEntries(schema) as convict.Schema<Tree>;
}
