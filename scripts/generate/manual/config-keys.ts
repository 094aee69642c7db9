import { printed } from '../config-reference.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from '../../../src/server/config/schema.ts';
import { formatOf, type Key, keysOf, type Section } from '../../../src/server/config/section.ts';
import { type AnyServiceModule, services } from '../../../src/services/index.ts';
import { macro, prose } from './mdoc.ts';

/** Lists the keys of the daemon. */
export function daemonKeys(): string {
  return keyList(daemonSchema);
}

/** Lists the keys of a service that cannot be set in `defaults`. */
export function ownKeys(): string {
  return keyList(ownSchema);
}

/** Lists the keys of every service, which can also be set in `defaults`. */
export function commonKeys(): string {
  return keyList(commonSchema);
}

/** Lists the built-in services: what each does, and its own keys. */
export function builtInServices(): string {
  return ['.Bl -tag -width Ds', ...services.flatMap(serviceItem), '.El'].join('\n');
}

function serviceItem(module: AnyServiceModule): readonly string[] {
  const { name, summary, rfc, port, maxAmplification, udpHazard } = module;
  const options = optionsSchema(module);
  const facts = [
    `It ${summary}.`,
    maxAmplification === undefined ? '' : `Its \`maxAmplification\` is ${maxAmplification} unless it is set.`,
    udpHazard === undefined ? '' : `UDP on a public address needs \`exposeUdp: true\`, because ${udpHazard}.`,
  ];
  return [
    `.It Cm ${name}${rfc === undefined ? '' : ` Pq RFC ${rfc} , port ${port}`}`,
    prose(facts.filter((fact) => fact !== '').join(' ')),
    ...(Object.keys(options).length > 0 ? [keyList(options)] : []),
  ];
}

function keyList(section: Section): string {
  return [
    '.Bl -tag -width Ds',
    ...[...keysOf(section)].flatMap(({ path, key }) => keyItem(path.join('.'), key)),
    '.El',
  ].join('\n');
}

function keyItem(name: string, key: Key): readonly string[] {
  const facts = `It is ${formatOf(key).expected}. The default is \`${printed(key.default)}\`.`;
  return [macro('It Cm', name), prose(key.doc), prose(facts)];
}
