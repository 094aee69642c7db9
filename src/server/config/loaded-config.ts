import type { AnyServiceModule } from '../../services/index.ts';
import type { Config } from './config.ts';
import type { Path } from './raw.ts';
import type { Printed } from './reading.ts';
import type { Place } from './tree.ts';

/** A config, checked and complete, and what its services are made by. */
export interface LoadedConfig {
  readonly config: Config;
  /** The same in the shape and the units of a config file: plain JSON that is itself a valid config. */
  readonly printed: Printed;
  /** By the name of the service; without the third-party modules where they were not imported. */
  readonly modules: ReadonlyMap<string, AnyServiceModule>;
  /** Where a key stands, for what is found wrong with it later. */
  readonly place: (path: Path, part?: 'key' | 'value') => Place;
}
