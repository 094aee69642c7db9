/** The files that `install-service` writes: the shipped units and config, with the paths of this machine. */

/** A file of an installed service: its path and its text. */
export interface ServiceFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  /** Once written, a config belongs to the administrator; a unit stays ours. */
  readonly kind: 'unit' | 'config';
}

/** Where the program is installed; absolute paths. */
export interface ProgramPlaces {
  readonly node: string;
  readonly package: string;
}

/** A type of installation: its shipped files, and the unit to start. */
export interface Installation {
  readonly service: string;
  /** Under `systemd` in the package. */
  readonly units: readonly string[];
  /** Under `config` in the package. */
  readonly shippedConfig: string;
  readonly config: string;
}

/** The paths in the shipped units, as installed by a package manager. */
export const shippedPlaces: ProgramPlaces = { node: '/usr/bin/node', package: '/usr/lib/smallservd' };

/** systemd.unit(5): the directory for units that the administrator installs. */
const unitDirectory = '/etc/systemd/system';

const streams = ['echo', 'discard', 'systat', 'daytime', 'qotd', 'chargen', 'time'];
const datagrams = ['echo', 'discard', 'daytime', 'time', 'stamp'];

/** Plain: has CAP_NET_BIND_SERVICE, for low ports. Sandboxed: receives its sockets from systemd. */
export const installations: Readonly<Record<'plain' | 'sandboxed', Installation>> = {
  plain: {
    service: 'smallservd.service',
    units: ['smallservd.service'],
    shippedConfig: 'well-known.yaml',
    config: '/etc/smallservd/smallservd.yaml',
  },
  sandboxed: {
    service: 'smallservd-sandboxed.service',
    units: [
      'smallservd-sandboxed.service',
      ...streams.map((name) => `smallservd-${name}-tcp.socket`),
      ...datagrams.map((name) => `smallservd-${name}-udp.socket`),
      'smallservd-admin.socket',
    ],
    shippedConfig: 'sockets.yaml',
    config: '/etc/smallservd/sockets.yaml',
  },
};

/** The first words of all our units. */
const mark = '# Installed by smallservd.';

/** Whether a unit file is ours, not the administrator's. */
export function isOurs(unit: string): boolean {
  return unit.startsWith(mark);
}

/** Returns the files of an installation. `read` returns the text of a shipped file, by its path in the package. */
export function serviceFiles(
  { units, shippedConfig, config }: Installation,
  places: ProgramPlaces,
  read: (path: string) => string,
): readonly ServiceFile[] {
  return [
    ...units.map((name): ServiceFile => {
      return { path: `${unitDirectory}/${name}`, text: withPlaces(read(`systemd/${name}`), places), kind: 'unit' };
    }),
    { path: config, text: read(`config/${shippedConfig}`), kind: 'config' },
  ];
}

/** systemd.unit(5): a path with other characters would need quoting, and `%` is a specifier. */
export function isPlainPath(path: string): boolean {
  return /^\/[\w./@+~-]*$/.test(path);
}

function withPlaces(unit: string, places: ProgramPlaces): string {
  return unit.replaceAll(shippedPlaces.node, places.node).replaceAll(shippedPlaces.package, places.package);
}

/** What happens to a file. `existing` is the text already there; undefined: there is none. */
export type Verdict = 'write' | 'remove' | 'unchanged' | 'missing' | 'keep' | 'foreign';

/** A modified config is kept. A unit that is not ours is `foreign`. */
export function verdictOnInstall({ text, kind }: ServiceFile, existing: string | undefined): Verdict {
  if (existing === undefined) return 'write';
  if (existing === text) return 'unchanged';
  if (kind === 'config') return 'keep';
  return isOurs(existing) ? 'write' : 'foreign';
}

export function verdictOnRemoval({ text, kind }: ServiceFile, existing: string | undefined): Verdict {
  if (existing === undefined) return 'missing';
  if (kind === 'config') return existing === text ? 'remove' : 'keep';
  return isOurs(existing) ? 'remove' : 'foreign';
}

/** Returns the links that `systemctl enable` creates, as named in unit files. */
export function enablingLinks(units: readonly ServiceFile[]): readonly string[] {
  return units.flatMap(({ path, text }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return [...text.matchAll(/^WantedBy=(\S+)$/gm)].map(([, target]) => `${unitDirectory}/${target}.wants/${name}`);
  });
}
