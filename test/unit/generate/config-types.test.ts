import { expect, expectTypeOf, test } from 'vitest';
import { configTypes } from '../../../scripts/generate/config-types.ts';
import type { Config, Daemon, DaemonStatus, Faults, ServiceCounters } from '../../../src/index.ts';
import type { commonSchema, daemonSchema, ownSchema } from '../../../src/server/config/schema.ts';
import { read } from '../../repository/files.ts';

test('the types of a config are up to date (otherwise run npm run docs)', () => {
  expect(read('src/server/config/config-input.ts')).toBe(configTypes());
});

test('have the keys of the schema', () => {
  type Echo = Exclude<Config['services']['echo'], undefined>;
  expectTypeOf<keyof Config>().toEqualTypeOf<keyof typeof daemonSchema | 'defaults' | 'services'>();
  expectTypeOf<keyof Echo>().toEqualTypeOf<keyof typeof commonSchema | keyof typeof ownSchema>();
  expectTypeOf<keyof Faults>().toEqualTypeOf<keyof (typeof ownSchema)['faults']>();
  expectTypeOf<Config['sockets']>().toEqualTypeOf<'auto' | 'kernel' | 'node' | undefined>();
  expectTypeOf<Config['user']>().toEqualTypeOf<string | number | null | undefined>();
});

test('the daemon is typed', () => {
  expectTypeOf<Daemon['status']>().returns.toEqualTypeOf<DaemonStatus>();
  expectTypeOf<Daemon['counters']>().returns.toEqualTypeOf<ServiceCounters>();
  expectTypeOf<Daemon['faults']>().parameters.toEqualTypeOf<[service: string, faults: Faults | undefined]>();
  expectTypeOf<Daemon>().toExtend<AsyncDisposable>();
});
