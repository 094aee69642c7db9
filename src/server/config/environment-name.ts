import type { Path } from './raw.ts';

/** Prefix of our environment variables. */
export const prefix = 'SMALLSERVD_';

/** Returns the environment variable that sets a key: `SMALLSERVD_SERVICES__ECHO_LAN__IDLE_TIMEOUT`. */
export function environmentName(path: Path): string {
  const segments = path.map((step) => String(step).replaceAll('-', '_').replace(/[A-Z]/g, '_$&').toUpperCase());
  return prefix + segments.join('__');
}
