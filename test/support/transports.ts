import { findService } from '../../src/services/index.ts';

const transports = ['tcp', 'udp'] as const;

type Transport = (typeof transports)[number];

/** The transports over which a built-in service answers. The config lets it listen on these only. */
export function transportsOf(service: string): readonly Transport[] {
  const only = findService(service)?.transport;
  return only === undefined ? transports : [only];
}
