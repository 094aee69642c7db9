/** A parsed listen address. `text` is what the config said. */
export type ListenAddress = NetworkListenAddress | UnixListenAddress | FdListenAddress | SystemdListenAddress;

export interface NetworkListenAddress {
  readonly scheme: 'tcp' | 'udp';
  readonly family: 'both' | 'ipv4' | 'ipv6';
  /** A host name or a literal without brackets; empty: all interfaces. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly text: string;
}

export interface UnixListenAddress {
  readonly scheme: 'unix';
  readonly path: string;
  readonly text: string;
}

/** An inherited descriptor, by number. */
export interface FdListenAddress {
  readonly scheme: 'fd';
  readonly fd: number;
  readonly text: string;
}

/** An inherited descriptor, by its name in LISTEN_FDNAMES (sd_listen_fds_with_names(3)); one name may stand for several. */
export interface SystemdListenAddress {
  readonly scheme: 'systemd';
  readonly name: string;
  readonly text: string;
}
