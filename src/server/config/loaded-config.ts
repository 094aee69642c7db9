import type { AnyServiceModule } from '../../services/index.ts';
import type { Config } from './config.ts';
import type { Place } from './problems.ts';
import type { Path } from './raw.ts';

/** A config, checked and complete, and what its services are made by. */
export interface LoadedConfig {
  readonly config: Config;
  /** By the name of the instance; without the third-party modules where they were not imported. */
  readonly modules: ReadonlyMap<string, AnyServiceModule>;
  /** Where a key stands, for what is found wrong with it later. */
  readonly place: (path: Path) => Place;
}
