import type { formats } from '../../src/server/config/formats.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from '../../src/server/config/schema.ts';
import { isKey, type Key, type Section } from '../../src/server/config/section.ts';
import { services } from '../../src/services/index.ts';

const maxWidth = 120;

/** What a config given as an object may have for each format. The environment and `--set` only have text. */
const typeOfFormat: Readonly<Record<keyof typeof formats, string>> = {
  string: 'string',
  boolean: 'boolean',
  count: 'number',
  ratio: 'number',
  port: 'number',
  ports: 'readonly number[] | number',
  duration: "Duration | 'never'",
  size: 'Size',
  cidrs: 'readonly string[] | string',
  file: 'string',
  timezone: 'string',
  strings: 'readonly string[] | string',
  probability: 'number',
  seed: 'number',
  copies: 'number',
  faultTime: 'Duration',
  share: '`${number}%`',
  grace: 'Duration',
  keepAliveDelay: 'Duration',
  headerTimeout: 'Duration',
  prefixIpv4: 'number',
  prefixIpv6: 'number',
  quota: "Size | 'unlimited'",
  bufferSize: 'Size',
  account: 'string | number',
  workers: "number | 'auto'",
  backlog: 'number',
  listen: 'readonly string[] | string',
  adminListen: 'string',
};

/** Returns the types of a config that is an object: src/server/config/config-input.ts. */
export function configTypes(): string {
  const { type: _type, module: _module, faults, ...ownKeys } = ownSchema;
  return `\
/**
 * The types of a config that is an object. \`npm run docs\` writes them from schema.ts and the options of the services.
 * Do not edit them.
 */
import type { ModuleObject } from './module-object.ts';

/** A whole number and a unit: \`500ms\`, \`10s\`, \`5m\`, \`24h\` or \`7d\`. */
type Duration = \`\${number}\${'ms' | 's' | 'm' | 'h' | 'd'}\`;

/** Bytes, or a whole number and a unit: \`64KiB\`, \`4MiB\`, \`1GiB\` or \`1TiB\`. */
type Size = number | \`\${number}\${'KiB' | 'MiB' | 'GiB' | 'TiB'}\`;

/** A config, in the shape of a config file. */
export interface ConfigInput {
${membersOf(daemonSchema)}
  /** What all services have unless they say otherwise. */
  readonly defaults?: CommonInput;
  /** The services, each under its own name. */
  readonly services: ServicesInput;
}

/**
 * A service that has the name of a built-in one is that one. Others need \`type\` or \`module\`, which is checked only
 * when the daemon starts.
 */
interface ServicesInput extends NamedInput {
  readonly [name: string]: ExplicitInput | (UntypedInput & AnyOptions) | undefined;
}

/** Of a name that is not a built-in service, nothing is known without \`type\` or \`module\`. */
type AnyOptions = { readonly [Name in OptionName]?: unknown };

type NamedInput = {
  readonly [Type in BuiltIn]?: ExplicitInput | (UntypedInput & BuiltInOptions[Type] & OptionsOfOthers<Type>);
};

/** A union accepts the keys of all its members, so those that do not belong here are excluded. */
type OptionsOfOthers<Type extends BuiltIn> = {
  readonly [Name in Exclude<OptionName, keyof BuiltInOptions[Type]>]?: undefined;
};

type OptionName = { [Type in BuiltIn]: keyof BuiltInOptions[Type] }[BuiltIn];

type ExplicitInput = ModuleInput | { readonly [Type in BuiltIn]: TypedInput<Type> }[BuiltIn];

type BuiltIn = keyof BuiltInOptions;

interface UntypedInput extends OwnInput {
  readonly type?: null | undefined;
  readonly module?: null | undefined;
}

type TypedInput<Type extends BuiltIn> = OwnInput &
  BuiltInOptions[Type] & {
    /** The built-in service that it is. */
    readonly type: Type;
    readonly module?: null | undefined;
  };

interface ModuleInput extends OwnInput {
  readonly type?: null | undefined;
  /** A service module, or where to load one: a path relative to the config, or a package name. */
  readonly module: ModuleObject | string;
  /** The options of the module, which are checked when the daemon starts. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** The keys that every service has. */
interface OwnInput extends CommonInput {
${membersOf(ownKeys)}
  /** How the service misbehaves on purpose. */
  readonly faults?: FaultsInput;
}

/** How a service misbehaves on purpose. */
export interface FaultsInput {
${membersOf(faults)}
}

/** The keys that every service has, and \`defaults\`. */
interface CommonInput {
${membersOf(commonSchema)}
}

/** The options of the built-in services. */
interface BuiltInOptions {
${services.map((module) => optionsOf(module.name, optionsSchema(module))).join('\n')}
}
`;
}

function optionsOf(name: string, options: Section): string {
  if (Object.keys(options).length === 0) return `  readonly ${name}: object;`;
  return `  readonly ${name}: {\n${membersOf(options, '    ')}\n  };`;
}

function membersOf(section: Section, indent = '  '): string {
  return Object.entries(section)
    .map(([name, node]) => (isKey(node) ? memberOf(name, node, indent) : nested(name, node, indent)))
    .join('\n');
}

function nested(name: string, section: Section, indent: string): string {
  return `${indent}readonly ${name}?: {\n${membersOf(section, `${indent}  `)}\n${indent}};`;
}

function memberOf(name: string, { format, default: value, doc }: Key, indent: string): string {
  const type = typeof format === 'string' ? typeOfFormat[format] : format.map((word) => `'${word}'`).join(' | ');
  const usual = value === null ? '' : ` Default: \`${JSON.stringify(value)}\`.`;
  const member = `${indent}readonly ${name}?: ${type}${value === null ? ' | null' : ''} | undefined;`;
  return `${comment(`${doc}${usual}`, indent)}\n${member}`;
}

function comment(text: string, indent: string): string {
  const single = `${indent}/** ${text} */`;
  if (single.length <= maxWidth) return single;
  const start = `${indent} * `;
  const lines: string[] = [];
  let line = start.trimEnd();
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > maxWidth) {
      lines.push(line);
      line = start.trimEnd();
    }
    line += ` ${word}`;
  }
  return [`${indent}/**`, ...lines, line, `${indent} */`].join('\n');
}
