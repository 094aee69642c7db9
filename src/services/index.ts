import type { ServiceModule } from '../service.ts';
import { chargen } from './chargen.ts';
import { daytime } from './daytime.ts';
import { discard } from './discard.ts';
import { echo } from './echo.ts';
import { envelope } from './envelope.ts';
import { finger } from './finger.ts';
import { ident } from './ident.ts';
import { qotd } from './qotd.ts';
import { stamp } from './stamp.ts';
import { systat } from './systat.ts';
import { tcpmux } from './tcpmux.ts';
import { time } from './time.ts';

/** A service module whose options are known only at run time, validated by its own schema before `create`. */
export type AnyServiceModule = ServiceModule<Readonly<Record<string, unknown>>>;

/** The built-in services, in display order. */
export const services: readonly AnyServiceModule[] = [
  echo,
  discard,
  chargen,
  qotd,
  systat,
  daytime,
  time,
  stamp,
  tcpmux,
  finger,
  ident,
  envelope,
];

/** Finds a built-in service by name. */
export function findService(name: string): AnyServiceModule | undefined {
  return services.find((service) => service.name === name);
}
