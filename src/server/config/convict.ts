import convict from 'convict';
import { environmentName } from './environment-name.ts';
import { formats } from './formats.ts';
import type { Path, Raw } from './raw.ts';
import { isKey, type Section } from './section.ts';

type Tree = { readonly [key: string]: unknown };

/** Raw values as convict holds them: in objects. */
export type Defaults = { readonly [key: string]: Raw | Defaults };

for (const [name, format] of Object.entries(formats)) {
  convict.addFormat({
    // The formats of convict are global to the process, and ours are not all that its own of the same name are.
    name: `smallservd ${name}`,
    validate(raw: Raw) {
      const reading = format.read(raw, '/');
      if ('flaws' in reading) throw new Error(reading.flaws[0]?.message);
    },
    // What a config says is read once, by the format, and never guessed at.
    coerce: (raw: unknown) => raw,
  });
}

/**
 * The defaults of the keys that a section declares. Throws an Error of convict's for a declaration that is wrong: a
 * format that is not there, a default that its format does not accept, a name that convict keeps for itself.
 */
export function defaultsOf(section: Section): Defaults {
  // Convict must not look at the process: the environment is laid over the file before.
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
