import type { ServiceModule } from '../service.ts';

/** RFC 863: reads and discards everything, and never answers. */
export const discard: ServiceModule = {
  name: 'discard',
  summary: 'discards what it receives',
  rfc: 863,
  port: 9,
  options: {},
  create: () => ({
    stream: () => undefined,
    datagram: () => undefined,
  }),
};
