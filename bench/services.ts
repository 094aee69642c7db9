/** What a server offers, each on a port. */
export type ServiceKind = 'tcp-echo' | 'udp-echo' | 'daytime' | 'time' | 'chargen';

/** The port of each service. */
export type Ports = Readonly<Record<ServiceKind, number>>;

export const serviceKinds: readonly ServiceKind[] = ['tcp-echo', 'udp-echo', 'daytime', 'time', 'chargen'];
