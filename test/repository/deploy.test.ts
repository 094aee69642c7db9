import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Service } from 'kubernetes-models/v1/Service';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { metrics } from '../../src/server/admin/metrics.ts';
import { loadConfig, readConfigSource } from '../../src/server/config/load.ts';
import { filesIn, read, root } from './files.ts';

const models = { Deployment, NetworkPolicy, PodDisruptionBudget, Namespace, Service };
const directory = 'deploy/kubernetes';
const dockerfile = read('Dockerfile');
const packageVersion = (JSON.parse(read('package.json')) as { version: string }).version;

/** One port of a service: `daytime 13 udp`. */
type ServicePort = string;

const wellKnown = await servicePortsOf('config/well-known.yaml');
const adminPort = 9013;

async function servicePortsOf(path: string): Promise<readonly ServicePort[]> {
  const source = await readConfigSource(join(root, path), {}, []);
  const { config } = await loadConfig(source, { importModules: false });
  return config.services
    .flatMap(({ name, listen }) => listen.map((each) => `${name} ${'port' in each ? each.port : '?'} ${each.scheme}`))
    .toSorted();
}

/** `13 udp`: where something has no names for ports. */
const withoutNames = wellKnown.map((port) => port.split(' ').slice(1).join(' ')).toSorted();

interface PortOfManifest {
  readonly name: string;
  readonly protocol: string;
  readonly port?: number | string;
  readonly containerPort?: number;
  readonly targetPort?: string;
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface DeploymentManifest extends Manifest {
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object; readonly annotations: Readonly<Record<string, string>> };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: object;
        readonly containers: readonly {
          readonly image: string;
          readonly ports: readonly PortOfManifest[];
          readonly env: readonly { readonly name: string; readonly value: string }[];
          readonly startupProbe: Probe;
          readonly readinessProbe: Probe;
          readonly livenessProbe: Probe;
          readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
          readonly securityContext: object;
          readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
        }[];
        readonly volumes: readonly { readonly name: string; readonly configMap: { readonly name: string } }[];
      };
    };
  };
}

interface ServiceManifest extends Manifest {
  readonly spec: {
    readonly externalTrafficPolicy: string;
    readonly selector: object;
    readonly ports: readonly PortOfManifest[];
  };
}

interface DisruptionBudgetManifest extends Manifest {
  readonly spec: { readonly selector: { readonly matchLabels: object } };
}

interface NetworkPolicyManifest extends Manifest {
  readonly spec: {
    readonly podSelector: { readonly matchLabels: object };
    readonly ingress: readonly { readonly ports: readonly PortOfManifest[]; readonly from?: object }[];
  };
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
  readonly images: readonly { readonly name: string; readonly newTag: string }[];
}

function manifest(name: string): unknown {
  return parse(read(join(directory, name)));
}

const kustomization = manifest('kustomization.yaml') as Kustomization;
const deployment = manifest('deployment.yaml') as DeploymentManifest;
const service = manifest('service.yaml') as ServiceManifest;
const networkPolicy = manifest('network-policy.yaml') as NetworkPolicyManifest;
const disruptionBudget = manifest('pod-disruption-budget.yaml') as DisruptionBudgetManifest;
const pod = deployment.spec.template.spec;

function container(): (typeof pod.containers)[number] {
  const [only] = pod.containers;
  if (only === undefined || pod.containers.length > 1) throw new Error('expected one container');
  return only;
}

/** `daytime 13 udp` of the port that is named daytime-udp. */
function servicePort(name: string, port: number | string | undefined, protocol: string): ServicePort {
  return `${name.replace(/-(tcp|udp)$/, '')} ${port} ${protocol.toLowerCase()}`;
}

describe('the Kubernetes manifests', () => {
  it.each(kustomization.resources)('%s matches the schema of its kind and has no unknown key', (name) => {
    const raw = manifest(name) as Manifest;
    const Model = models[raw.kind as keyof typeof models];
    expect(raw).toMatchObject({ apiVersion: Model.apiVersion, kind: Model.kind });
    expect(problemsOf(Model, raw)).toEqual([]);
  });

  it('are rejected with an unknown key or an invalid value', () => {
    const [odd, wrong] = [structuredClone(deployment), structuredClone(service)];
    Object.assign(odd.spec.template.spec.containers[0]?.readinessProbe.httpGet ?? {}, { pth: '/readyz' });
    Object.assign(wrong.spec.ports[0] ?? {}, { port: '7a' });
    expect(problemsOf(Deployment, odd)).toEqual(['/spec/template/spec/containers/0/readinessProbe/httpGet/pth']);
    expect(problemsOf(Service, wrong)).toEqual([expect.stringContaining('port must be integer')]);
  });

  it('are all listed in the kustomization, with the config, and exist', () => {
    const named = [...kustomization.resources, ...kustomization.configMapGenerator.flatMap(({ files }) => files)];
    const present = filesIn(directory).map((path) => path.slice(directory.length + 1));
    expect(['kustomization.yaml', ...named].toSorted()).toEqual(present.toSorted());
  });

  it('refer to each other by existing names', () => {
    const [generated] = kustomization.configMapGenerator;
    expect(pod.volumes.map(({ configMap }) => configMap.name)).toEqual([generated?.name]);
    expect(container().volumeMounts.map(({ name }) => name)).toEqual(pod.volumes.map(({ name }) => name));
    const [image] = kustomization.images;
    expect(container().image).toBe(image?.name);
    const { labels } = deployment.spec.template.metadata;
    for (const selector of [
      deployment.spec.selector.matchLabels,
      service.spec.selector,
      disruptionBudget.spec.selector.matchLabels,
      networkPolicy.spec.podSelector.matchLabels,
    ])
      expect(labels).toMatchObject(selector);
    const ports = new Set<unknown>(container().ports.map(({ name }) => name));
    const { startupProbe, readinessProbe, livenessProbe } = container();
    const named = [
      ...service.spec.ports.map(({ targetPort }) => targetPort),
      ...networkPolicy.spec.ingress.flatMap((rule) => rule.ports.map(({ port }) => port)),
      ...[startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.port),
    ];
    expect(named.filter((name) => !ports.has(name))).toEqual([]);
  });

  it('have the ports of config/well-known.yaml', async () => {
    const open = container().ports.filter(({ name }) => name !== 'admin');
    const portOf = new Map(open.map(({ name, containerPort }) => [name, containerPort]));
    expect(open.map((port) => servicePort(port.name, port.containerPort, port.protocol)).toSorted()).toEqual(wellKnown);
    const served = service.spec.ports.map(({ name, port, protocol }) => servicePort(name, port, protocol));
    expect(served.toSorted()).toEqual(wellKnown);
    expect(service.spec.ports.map(({ targetPort }) => targetPort)).toEqual(service.spec.ports.map(({ name }) => name));
    const [everybody] = networkPolicy.spec.ingress;
    const allowed = everybody?.ports.map(({ port, protocol }) =>
      servicePort(String(port), portOf.get(String(port)), protocol),
    );
    expect(allowed?.toSorted()).toEqual(wellKnown);
    expect(await servicePortsOf(join(directory, 'smallservd.yaml'))).toEqual(wellKnown);
  });

  it('open the admin endpoint only to the kubelet and Prometheus', () => {
    const admin = container().ports.find(({ name }) => name === 'admin');
    expect(admin).toMatchObject({ containerPort: adminPort, protocol: 'TCP' });
    expect(container().env).toEqual([{ name: 'SMALLSERVD_ADMIN__LISTEN', value: `tcp://*:${adminPort}` }]);
    expect(deployment.spec.template.metadata.annotations['prometheus.io/port']).toBe(String(adminPort));
    expect(service.spec.ports.map(({ port }) => port)).not.toContain(adminPort);
    const rules = networkPolicy.spec.ingress.filter(({ ports }) => ports.some(({ port }) => port === 'admin'));
    expect(rules).toEqual([expect.objectContaining({ from: expect.anything() as object })]);
    expect(container().livenessProbe.httpGet.path).toBe('/livez');
    expect(container().readinessProbe.httpGet.path).toBe('/readyz');
  });

  it('preserve source addresses', () => {
    expect(service.spec.externalTrafficPolicy).toBe('Local');
  });

  it('meet the restricted Pod Security Standard and run as the user of the image', () => {
    const [uid] = /^USER (\d+):\1$/m.exec(dockerfile)?.slice(1) ?? [];
    expect(pod.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: Number(uid),
      runAsGroup: Number(uid),
      seccompProfile: { type: 'RuntimeDefault' },
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
    });
    expect(container().securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('give the daemon enough time to stop', async () => {
    const source = await readConfigSource(join(root, directory, 'smallservd.yaml'), {}, []);
    const { config } = await loadConfig(source, { importModules: false });
    const { seconds } = container().lifecycle.preStop.sleep;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(seconds + config.shutdown.graceMs / 1000);
  });
});

describe('the Dockerfile', () => {
  it('exposes the ports of config/well-known.yaml', () => {
    const exposed = /^EXPOSE (.*)$/m
      .exec(dockerfile)?.[1]
      ?.split(' ')
      .map((port) => port.replace('/', ' '));
    expect(exposed?.toSorted()).toEqual(withoutNames);
  });

  it('builds on Node of a fixed version, and puts nothing but its own files into the image', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, name]) => name);
    expect(bases).toEqual(['node:26-trixie-slim', 'scratch']);
  });

  it('is for every processor', () => {
    expect(dockerfile).not.toMatch(/x86|amd64|x64|aarch64|arm64|lib64|linux-gnu|TARGET(?:ARCH|PLATFORM)/);
  });

  it('copies exactly the existing files that .dockerignore allows', () => {
    const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    const allowed = read('.dockerignore')
      .split('\n')
      .flatMap((line) => /^!(.*)$/.exec(line)?.[1] ?? []);
    expect([...new Set(copies)].toSorted()).toEqual(allowed.toSorted());
    expect(copies.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

function portsOf(protocol = '', ports = ''): string[] {
  return ports.split(/, ?/).map((port) => `${port} ${protocol}`);
}

it('the firewall snippets name the ports of config/well-known.yaml', () => {
  const nft = [...read('deploy/firewall/smallservd.nft').matchAll(/^(tcp|udp) dport \{ (.*) \} accept$/gm)];
  const ufw = [...read('deploy/firewall/smallservd.ufw').matchAll(/([\d,]+)\/(tcp|udp)/g)];
  const firewalld = [...read('deploy/firewall/smallservd.xml').matchAll(/protocol="(tcp|udp)" port="(\d+)"/g)];
  for (const ports of [
    nft.flatMap(([, protocol, list]) => portsOf(protocol, list)),
    ufw.flatMap(([, list, protocol]) => portsOf(protocol, list)),
    firewalld.flatMap(([, protocol, port]) => portsOf(protocol, port)),
  ])
    expect(ports.toSorted()).toEqual(withoutNames);
});

it('image, manifests and compose file have the version of the package', () => {
  expect(dockerfile).toContain(`org.opencontainers.image.version="${packageVersion}"`);
  expect(kustomization.images).toEqual([{ name: 'smallservd', newName: 'smallservd', newTag: packageVersion }]);
  expect(compose.image).toBe(`smallservd:${packageVersion}`);
});

const compose = (parse(read('deploy/compose.yaml')) as { services: { smallservd: Readonly<Record<string, unknown>> } })
  .services.smallservd;

describe('the compose file', () => {
  it('publishes the ports of config/well-known.yaml, and the admin endpoint on 127.0.0.1 only', () => {
    const published = (compose['ports'] as readonly string[]).map((port) => /^([\d.:]*?)(\d+):\2\/(\w+)$/.exec(port));
    const forAll = published.filter((port) => port?.[1] === '').map((port) => `${port?.[2]} ${port?.[3]}`);
    expect(forAll.toSorted()).toEqual(withoutNames);
    const others = published.filter((port) => port?.[1] !== '').map((port) => port?.[0]);
    expect(others).toEqual([`127.0.0.1:${adminPort}:${adminPort}/tcp`]);
    expect(compose['environment']).toEqual({ SMALLSERVD_ADMIN__LISTEN: `tcp://*:${adminPort}` });
  });

  it('gives the container no privileges', () => {
    expect(compose).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
    });
    const rights = ['privileged', 'cap_add', 'network_mode', 'pid', 'user', 'devices'];
    expect(rights.filter((key) => Object.hasOwn(compose, key))).toEqual([]);
  });

  it('builds the Dockerfile of the repository', () => {
    expect(existsSync(join(root, 'deploy', (compose['build'] as { context: string }).context, 'Dockerfile'))).toBe(
      true,
    );
  });
});

/** The names of its samples. */
function samplesOf({ name, kind }: (typeof metrics)[number]): readonly string[] {
  return kind === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name];
}

describe('the dashboard and alert rules', () => {
  const known = new Set(metrics.flatMap((metric) => samplesOf(metric)));
  const files = ['deploy/grafana/smallservd.json', 'deploy/prometheus/rules.yaml'];

  it.each(files)('use only existing metrics: %s', (path) => {
    const named = new Set(read(path).match(/\bsmallservd_\w+/g));
    expect(named.size).toBeGreaterThan(5);
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
  });

  it('show every metric on the dashboard', () => {
    const dashboard = read('deploy/grafana/smallservd.json');
    const isShown = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(dashboard);
    expect(metrics.filter((metric) => !samplesOf(metric).some(isShown)).map(({ name }) => name)).toEqual([]);
  });

  it('use only labels that the metric has', () => {
    // Prometheus adds these.
    const added = ['job', 'instance', 'le'];
    for (const path of files) {
      for (const [, name = '', matchers = ''] of read(path).matchAll(/\b(smallservd_\w+)\{([^}]*)\}/g)) {
        const labels = [...matchers.matchAll(/(\w+)=~?\\?"/g)].map(([, label = '']) => label);
        expect(labels.length).toBeGreaterThan(0);
        const own = metrics.find((metric) => samplesOf(metric).includes(name))?.labels ?? [];
        expect(
          labels.filter((label) => ![...added, ...own].includes(label)),
          `${path}: ${name}`,
        ).toEqual([]);
      }
    }
  });

  it('have dashboard panels with unique ids that do not overlap', () => {
    const { panels } = JSON.parse(read('deploy/grafana/smallservd.json')) as {
      panels: readonly { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
    };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });
});

/** A class of kubernetes-models, whose `validate` throws. */
interface Model {
  readonly prototype: { readonly validate: (this: object) => void };
}

/** What the schema complains of, or else the paths of all keys that it never looked at: it knows none of these. */
function problemsOf({ prototype }: Model, raw: object): readonly string[] {
  const seen = new Set<string>();
  try {
    prototype.validate.call(watched(raw, '', seen));
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return pathsOf(raw, '').filter((path) => !seen.has(path));
}

/** The same value, which notes the path of each key that is read. */
function watched<Value extends object>(value: Value, path: string, seen: Set<string>): Value {
  return new Proxy(value, {
    get(target, key, receiver): unknown {
      const inner: unknown = Reflect.get(target, key, receiver);
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return inner;
      seen.add(`${path}/${key}`);
      return typeof inner === 'object' && inner !== null ? watched(inner, `${path}/${key}`, seen) : inner;
    },
  });
}

function pathsOf(value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${path}/${key}`, ...pathsOf(inner, `${path}/${key}`)]);
}
