import type { AnyServiceModule } from '../../services/index.ts';
import { defaultsOf } from './convict.ts';
import { optionFormats } from './formats.ts';
import { optionsSchema } from './schema.ts';

/** Imports a module and checks that its default export is a service module. Throws an Error that says why it is not. */
export async function importServiceModule(url: string): Promise<AnyServiceModule> {
  let exported: unknown;
  try {
    exported = ((await import(url)) as { readonly default?: unknown }).default;
  } catch (cause) {
    throw new Error(isTypeScript(cause) ? compileIt : `the import failed: ${oneLine(cause)}`, { cause });
  }
  return readServiceModule(exported);
}

/** Checks that a value is a service module. Throws an Error that says why it is not. */
export function readServiceModule(value: unknown): AnyServiceModule {
  const fault = faultOf(value);
  if (fault !== undefined) throw new Error(`not a service module: ${fault}`);
  return value as AnyServiceModule;
}

function faultOf(exported: unknown): string | undefined {
  if (!isObject(exported)) return 'its default export is not an object';
  const { name, summary, options, create, transport, udpHazard, maxAmplification, port, rfc } = exported;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(name)) return 'name is not a word such as my-service';
  if (typeof summary !== 'string') return 'summary is not text';
  if (typeof create !== 'function') return 'create is not a function';
  if (transport !== undefined && transport !== 'tcp' && transport !== 'udp') return 'transport is not tcp or udp';
  if (!isOptional(udpHazard, 'string')) return 'udpHazard is not text';
  if (!isOptional(maxAmplification, 'number')) return 'maxAmplification is not a number';
  if (!isOptional(port, 'number') || !isOptional(rfc, 'number')) return 'port or rfc is not a number';
  if (!isObject(options)) return 'options is not an object';
  for (const [key, spec] of Object.entries(options)) {
    const fault = faultOfOption(key, spec);
    if (fault !== undefined) return `options.${key}: ${fault}`;
  }
  return undefined;
}

function faultOfOption(key: string, spec: unknown): string | undefined {
  // The environment could not set other keys, and convict treats `default` as its own.
  if (!/^[a-z][A-Za-z0-9]*$/.test(key) || key === 'default' || key === 'constructor')
    return 'the name is not a word such as maxLength';
  if (!isObject(spec) || typeof spec['doc'] !== 'string') return 'doc is not text';
  const { format, default: value } = spec;
  const isWords = Array.isArray(format) && format.length > 0 && format.every((word) => typeof word === 'string');
  if (!isWords && !Object.keys(optionFormats).some((name) => name === format))
    return `format is not a list of words or one of ${Object.keys(optionFormats).join(', ')}`;
  try {
    if (value !== undefined) {
      defaultsOf(optionsSchema({ options: { [key]: spec } } as unknown as AnyServiceModule));
      return undefined;
    }
  } catch {
    // From convict, or from printing a default that is not a value of the format.
  }
  return 'default does not match format';
}

/** Node takes types out since 22.18, but not those that mean code, such as enums. */
const compileIt = `Node ${process.version} does not run this TypeScript: compile it to JavaScript, or use Node 22.18 or newer and types alone (https://nodejs.org/api/typescript.html)`;

function isTypeScript(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('code' in cause)) return false;
  if (cause.code === 'ERR_UNKNOWN_FILE_EXTENSION') return /\.[cm]?ts\b/.test(cause.message);
  return ['ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX', 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING'].includes(
    String(cause.code),
  );
}

function isOptional(value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || typeof value === type;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An error from the imported code may contain anything. */
function oneLine(cause: unknown): string {
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return text.replace(/[^ -~]+/g, ' ').slice(0, 300);
}
