/** Attack 1: requests that seem to come from victims, whom the answers then go to. */
import { type Forger, serverAddress } from './forger.ts';
import { trafficOf } from './packets.ts';
import { sockets } from './sockets.ts';

export const servicePorts = { echo: 7, systat: 11, daytime: 13, qotd: 17, chargen: 19, time: 37 } as const;

/** It answers no empty request. */
const laterPorts = { envelope: 8080 } as const;

const ports = { ...servicePorts, ...laterPorts };

export type ServiceName = keyof typeof servicePorts;

/** All that can be reflected from, over UDP, with the guard as it is by default. */
export const reflectorConfig = {
  sockets,
  services: Object.fromEntries(
    Object.entries(ports).map(([name, port]) => [name, { listen: [`udp4://${serverAddress}:${port}`] }]),
  ),
};

/** Of the rates as they are by default: how many answers go to one /24 at once, and out of one service. */
const prefixBurst = 400;
const serviceBurst = 40_000;

export interface Reflection {
  readonly service: keyof typeof ports;
  /** Victims, spread evenly over 10.0.0.0/8. */
  readonly sources: number;
  /** Of the requests' payload, in bytes. */
  readonly length: number;
  readonly packetsPerSecond: number;
  readonly seconds: number;
}

/** Bytes on the wire, out of the server divided by those into it. */
export interface Reflected {
  readonly ratio: number;
  /** The same without as many answers as the limiter lets through at once: what it leaves of a flood that goes on. */
  readonly sustainedRatio: number;
  /** The largest answer divided by a request. */
  readonly largestRatio: number;
}

/** Most of 10.0.0.0/8: the cable's own addresses lie above. */
const victims = 16_700_000;

export async function reflect(forger: Forger, reflection: Reflection): Promise<Reflected> {
  const { service, sources, length, packetsPerSecond, seconds } = reflection;
  const port = ports[service];
  const count = packetsPerSecond * seconds;
  const capture = await forger.watch([port], () =>
    forger.send({
      port,
      from: '10.0.0.1',
      sources,
      step: Math.floor(victims / sources),
      sourcePort: '40000-59999',
      length,
      count,
      rate: packetsPerSecond,
    }),
  );
  const { to, from } = trafficOf(capture, port);
  if (to.packets !== count) throw new Error(`${to.packets} of ${count} requests went out`);
  const burst = Math.min(sources * prefixBurst, serviceBurst);
  const beyondBurst = Math.max(0, from.packets - burst) / Math.max(1, from.packets);
  return {
    ratio: from.bytes / to.bytes,
    sustainedRatio: (from.bytes * beyondBurst) / to.bytes,
    largestRatio: from.largest / to.largest,
  };
}
