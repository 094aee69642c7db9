import { expect, it } from 'vitest';
import { formatExposure } from '../../../../src/server/command/listeners-table.ts';
import type { RunningListener } from '../../../../src/server/running-daemon.ts';

const listeners: readonly RunningListener[] = [
  { service: 'echo', transport: 'tcp', address: '127.0.0.1', port: 7 },
  { service: 'echo', transport: 'tcp', address: '::1', port: 7 },
  { service: 'echo', transport: 'unix', address: '/run/echo.sock', port: 0 },
  { service: 'time', transport: 'udp', address: '127.0.0.1', port: 37 },
  { service: 'echo', transport: 'udp', address: '0.0.0.0', port: 7 },
  { service: 'daytime', transport: 'udp', address: '::', port: 13 },
  { service: 'daytime', transport: 'tcp', address: '::', port: 13 },
];

it('has a row for each scope that reaches a service, nearest first', () => {
  const narrowed = new Map([
    ['daytime', { hasAllow: true, hasProxies: false }],
    ['echo', { hasAllow: false, hasProxies: false }],
  ]);
  expect(formatExposure(listeners, narrowed)).toBe(`\
reachable from  services
──────────────  ───────────────────────────────────────────
this machine    echo, time (UDP)
anywhere        echo (UDP), daytime (only clients in allow)
`);
});

it('names proxies only next to TCP', () => {
  const narrowed = new Map(['echo', 'daytime', 'time'].map((name) => [name, { hasAllow: true, hasProxies: true }]));
  const tcp = { service: 'time', transport: 'tcp', address: '10.0.0.1', port: 37 } as const;
  expect(formatExposure([...listeners, tcp], narrowed)).toBe(`\
reachable from    services
────────────────  ────────────────────────────────────────────────────────────────────────────────────────────
this machine      echo (only clients in allow, TCP only through proxies), time (UDP, only clients in allow)
private networks  time (TCP, only clients in allow, only through proxies)
anywhere          echo (UDP, only clients in allow), daytime (only clients in allow, TCP only through proxies)
`);
});
