import { services } from '../../src/services/index.ts';
import type { JsonSchema } from '../../src/server/config/format.ts';
import { commonSchema, daemonSchema, optionsSchema, ownSchema } from '../../src/server/config/schema.ts';
import { formatOf, isKey, type Key, type Section } from '../../src/server/config/section.ts';

const serviceName = '^[a-z][a-z0-9-]{0,62}$';

/**
 * Returns the config as a JSON Schema (2020-12), for editors. It knows every key, and the form of most values. A config
 * that it accepts may still be invalid: `smallservd check` decides.
 */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'The config of smallservd',
    type: 'object',
    required: ['services'],
    additionalProperties: false,
    properties: {
      ...propertiesOf(daemonSchema),
      defaults: { description: 'What all services have unless they say otherwise.', ...objectOf(commonSchema) },
      services: {
        description: 'The services, each under its own name.',
        type: 'object',
        minProperties: 1,
        propertyNames: { pattern: serviceName },
        // A service without a type or a module is named after its type.
        properties: Object.fromEntries(services.map(({ name }) => [name, serviceOf(name)])),
        additionalProperties: {
          anyOf: [{ required: ['type'] }, { required: ['module'] }],
          $ref: '#/$defs/service',
          unevaluatedProperties: false,
        },
      },
    },
    $defs: {
      service: {
        type: 'object',
        properties: propertiesOf({ ...ownSchema, ...commonSchema }),
        not: { required: ['type', 'module'] },
        allOf: [
          ...services.map(({ name }) => ({
            if: { not: { required: ['type'], properties: { type: { const: name } } } },
            else: { $ref: optionsOf(name) },
          })),
          { if: { not: { required: ['module'] } }, else: { properties: { options: { type: 'object' } } } },
        ],
      },
      ...Object.fromEntries(
        services.map((module) => [`options-${module.name}`, { properties: propertiesOf(optionsSchema(module)) }]),
      ),
    },
  };
}

function serviceOf(name: string): JsonSchema {
  return {
    $ref: '#/$defs/service',
    if: { anyOf: [{ required: ['type'] }, { required: ['module'] }] },
    else: { $ref: optionsOf(name) },
    unevaluatedProperties: false,
  };
}

function optionsOf(name: string): string {
  return `#/$defs/options-${name}`;
}

function objectOf(section: Section): JsonSchema {
  return { type: 'object', additionalProperties: false, properties: propertiesOf(section) };
}

function propertiesOf(section: Section): JsonSchema {
  return Object.fromEntries(
    Object.entries(section).map(([name, node]) => [name, isKey(node) ? valueOf(node) : objectOf(node)]),
  );
}

function valueOf(key: Key): JsonSchema {
  return { description: key.doc, default: key.default, ...formatOf(key).json };
}
