import type { DatagramOrigin } from '../../src/service.ts';

/** Of a datagram whose service does not ask. */
export const nowhere: DatagramOrigin = {
  peer: { family: 'ipv4', address: '192.0.2.1', port: 40_000 },
  via: undefined,
  local: { family: 'ipv4', address: '192.0.2.2', port: 7 },
  listener: 'udp://0.0.0.0:0',
  receivedAtUs: 0,
  ttl: undefined,
  dscp: undefined,
  ecn: undefined,
};
