import type { AnyServiceModule } from '../../services/index.ts';
import type { Config } from './config.ts';
import type { Printed } from './reading.ts';
import type { ConfigNode } from './tree.ts';

/** A validated, complete config and the modules that create its services. */
export interface LoadedConfig {
  readonly config: Config;
  /** The same config as plain JSON, in the shape and units of a config file, itself a valid config. */
  readonly printed: Printed;
  /** By service name; without third-party modules unless they were imported. */
  readonly modules: ReadonlyMap<string, AnyServiceModule>;
  /** What it was read from, to report problems found later. */
  readonly root: ConfigNode;
}
