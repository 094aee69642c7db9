import type { ServiceModule } from '../service.ts';

/** RFC 862: returns every byte in order, and every datagram unchanged. */
export const echo: ServiceModule = {
  name: 'echo',
  summary: 'sends back what it receives',
  rfc: 862,
  port: 7,
  options: {},
  create: () => ({
    stream: (client) => ({ data: (chunk) => client.write(chunk) }),
    datagram: (request) => request,
  }),
};
