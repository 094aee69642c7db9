// Builds the Debian package into a directory, this one unless another is named: node scripts/package-deb.js [DIRECTORY]
// Run `npm run build` first. It needs dpkg-deb, and no root. The same sources give the same bytes: all times are that
// of the release, or SOURCE_DATE_EPOCH.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { released } from '../dist/clock/release.js';
import { runtimePackages } from './runtime-packages.js';
import { sbomFile, softwareBill } from './sbom.js';

const checkout = fileURLToPath(new URL('..', import.meta.url));
const about = JSON.parse(read('package.json'));
const version = `${about.version.replace('-', '~')}-1`;
const architecture = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
const date = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? released.getTime() / 1000) * 1000);
const maintainer = `${about.author} <smallservd@example.org>`;

const program = 'usr/lib/smallservd';
const documents = 'usr/share/doc/smallservd';
const conffiles = {
  'etc/logrotate.d/smallservd': 'deploy/logrotate/smallservd',
  'etc/smallservd/smallservd.yaml': 'config/well-known.yaml',
  'etc/smallservd/sockets.yaml': 'config/sockets.yaml',
  'etc/ufw/applications.d/smallservd': 'deploy/firewall/smallservd.ufw',
};

/** The directories of raw-socket's ready built addons, by the architecture. */
const addonDirectories = { amd64: 'linux-x64', arm64: 'linux-arm64', armhf: 'linux-arm' };
const addons = join('node_modules/raw-socket/prebuilds', addonDirectories[architecture] ?? 'none');
const hasAddon = existsSync(join(checkout, addons));
const packageArchitecture = hasAddon ? architecture : 'all';
/** Of Node 20 and 22. */
const isAddonForDebian = (name) => /\.abi(?:115|127)\./.test(name) && !/musl|armv6/.test(name);

const tree = mkdtempSync(join(tmpdir(), 'smallservd-deb-'));
try {
  writeTree();
  writeControl();
  for (const path of [...walk(tree), tree]) lutimesSync(path, date, date);
  const target = resolve(process.argv[2] ?? checkout, `smallservd_${version}_${packageArchitecture}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, target], {
    stdio: 'inherit',
    env: { ...process.env, SOURCE_DATE_EPOCH: String(date.getTime() / 1000), DPKG_DEB_THREADS_MAX: '1' },
  });
} finally {
  rmSync(tree, { recursive: true });
}

function writeTree() {
  put(`${program}/package.json`, read('package.json'));
  for (const path of filesIn('dist')) if (hasSource(path)) put(`${program}/${path}`, read(path));
  for (const path of filesIn('config')) put(`${program}/${path}`, read(path));
  for (const name of Object.keys(about.bin)) {
    const path = `${program}/${about.bin[name]}`;
    // Of Debian's node, whatever PATH says; and as the services start it.
    put(
      path,
      read(about.bin[name]).replace('#!/usr/bin/env node', '#!/usr/bin/node --inspect-publish-uid=stderr'),
      0o755,
    );
    link(`usr/bin/${name}`, path);
  }
  for (const { path, files } of packages())
    for (const file of files) copy(join(path, file), `${program}/${path}/${file}`);
  if (hasAddon) for (const name of filesIn(addons)) if (isAddonForDebian(name)) copy(name, `${program}/${name}`);
  for (const [path, source] of Object.entries(conffiles)) put(path, read(source));
  for (const path of filesIn('systemd')) put(`usr/lib/systemd/system/${basename(path)}`, read(path));
  put('usr/lib/firewalld/services/smallservd.xml', read('deploy/firewall/smallservd.xml'));
  put('usr/lib/sysusers.d/smallservd.conf', read('deploy/sysusers/smallservd.conf'));
  for (const path of filesIn('man')) put(`usr/share/man/man${path.at(-1)}/${basename(path)}.gz`, gzip(read(path)));
  const completions = 'usr/share/bash-completion/completions';
  put(`${completions}/smallservd`, read('completion/smallservd.bash'));
  link(`${completions}/smallserv`, `${completions}/smallservd`);
  put('usr/share/zsh/vendor-completions/_smallservd', read('completion/_smallservd'));
  for (const name of Object.keys(about.bin))
    put(`usr/share/fish/vendor_completions.d/${name}.fish`, read(`completion/${name}.fish`));
  put(`${documents}/examples/smallservd.nft`, read('deploy/firewall/smallservd.nft'));
  for (const path of ['README.md', ...filesIn('docs'), ...filesIn('examples')]) put(`${documents}/${path}`, read(path));
  // The units name their page there.
  link(`${program}/docs`, `${documents}/docs`);
  put(`${documents}/changelog.gz`, gzip(read('CHANGELOG.md')));
  put(`${documents}/changelog.Debian.gz`, gzip(changelog()));
  put(`${documents}/copyright`, copyright());
  put(`${documents}/${sbomFile}`, softwareBill());
}

function writeControl() {
  const files = walk(tree).filter((path) => lstatSync(path).isFile());
  const names = files.map((path) => relative(tree, path));
  const sums = names
    .filter((name) => !(name in conffiles))
    .map(
      (name) =>
        `${createHash('md5')
          .update(readFileSync(join(tree, name)))
          .digest('hex')}  ${name}\n`,
    );
  const kibibytes = files.reduce((sum, path) => sum + Math.ceil(statSync(path).size / 1024), 0);
  put('DEBIAN/md5sums', sums.join(''));
  put(
    'DEBIAN/conffiles',
    Object.keys(conffiles)
      .map((path) => `/${path}\n`)
      .join(''),
  );
  put('DEBIAN/control', control(kibibytes));
  for (const [name, text] of Object.entries(scripts())) put(`DEBIAN/${name}`, text, 0o755);
}

function control(kibibytes) {
  const depends = [
    'nodejs (>= 20.19)',
    ...(hasAddon ? ['libc6 (>= 2.17)', 'libgcc-s1 (>= 3.0)', 'libstdc++6 (>= 4.1.1)'] : []),
  ];
  return `Package: smallservd
Version: ${version}
Architecture: ${packageArchitecture}
Maintainer: ${maintainer}
Installed-Size: ${kibibytes}
Depends: ${depends.join(', ')}
Section: net
Priority: optional
Description: daemon for the classic IETF services
 The classic small services (echo, discard, chargen, qotd, systat, daytime,
 time), and stamp, tcpmux, finger, ident and envelope. They follow their RFCs.
 Forged datagrams, floods and clients that never read are bounded by default.
 .
 It contains two systemd services, neither of which is enabled: smallservd, with
 the privilege to bind low ports, and smallservd-sandboxed, without privileges,
 to which systemd passes the sockets.
 .
 The package contains smallserv, too: clients for these services, and tools for
 those who test networks. Its ping needs Node.js 20 or 22; all else works with
 newer ones.
`;
}

/** Nothing is started, enabled or restarted by them. */
function scripts() {
  const units = filesIn('systemd').map((path) => basename(path));
  const reload = 'if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then\n  systemctl daemon-reload || true\nfi\n';
  return {
    postinst: `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  # The user that workers run as where root starts the daemon by hand; without it they run as nobody.
  if [ -z "$DPKG_ROOT" ] && command -v systemd-sysusers >/dev/null; then
    systemd-sysusers smallservd.conf
  fi
  ${reload.trimEnd().replaceAll('\n', '\n  ')}
  if [ -n "$2" ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    for unit in smallservd.service smallservd-sandboxed.service; do
      if systemctl --quiet is-active "$unit"; then
        echo "$unit still runs the version before: systemctl restart $unit" >&2
      fi
    done
  fi
fi
`,
    prerm: `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
  systemctl --quiet disable --now ${units.join(' ')} || true
fi
`,
    postrm: `#!/bin/sh
set -e
${reload}`,
  };
}

/** What runs of node_modules, by the lock file: each package with its files. */
function packages() {
  const lock = JSON.parse(read('package-lock.json'));
  return (
    runtimePackages(lock)
      .filter(([, entry]) => !entry.optional || (hasAddon && isForThisMachine(entry)))
      .map(([path]) => path)
      // What raw-socket is compiled with.
      .filter((path) => path !== 'node_modules/nan')
      .map((path) => {
        if (!existsSync(join(checkout, path))) throw new Error(`${path} is not there: npm install --include=optional`);
        const files = filesIn(path).map((file) => relative(path, file));
        return { path, files: files.filter((file) => isRun(file) && isOfPackage(file)) };
      })
  );
}

/** An optional package may be for another system or processor. */
function isForThisMachine({ os = ['linux'], cpu = [process.arch] }) {
  return os.includes('linux') && cpu.includes(process.arch);
}

/** A build leaves what earlier ones have built. JSON is copied there by the build. */
function hasSource(path) {
  return path.endsWith('.json') || existsSync(join(checkout, path.replace(/^dist/, 'src').replace(/\.js$/, '.ts')));
}

/** Not types, not maps, not papers. */
function isRun(path) {
  return (
    !/\.(?:test\.js|spec\.js|ts|mts|cts|map|md|txt|html|png|ico|sh|ya?ml)$/.test(path) ||
    /licen[cs]e|notice/i.test(path)
  );
}

/**
 * Not what is for those who work on the package. Ready built addons are chosen one by one, and one that was compiled
 * here fits one Node only.
 */
function isOfPackage(file) {
  return !/^(?:\.|node_modules\/|(?:test|tests|bench|benchmark|benchmarks|doc|docs|example|examples|fixture|prebuilds|musl_\w+)\/|build\/Release\/|src\/raw\.|src\/koffi\/(?:src\/(?!static\.)|CMakeLists)|vendor\/|(?:cnoke|build)\.cjs$|binding\.gyp$|Makefile$|CNAME$)/.test(
    file,
  );
}

function changelog() {
  return `smallservd (${version}) unstable; urgency=medium

  * The release ${about.version}: see changelog.gz.

 -- ${maintainer}  ${date.toUTCString().replace('GMT', '+0000')}
`;
}

/** https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/ */
function copyright() {
  const own = { files: '*', owner: `2026 ${about.author}`, license: 'MIT', text: read('LICENSE') };
  const others = packages().map(({ path, files }) => {
    const { license, author } = JSON.parse(read(join(path, 'package.json')));
    const name = files.find((file) => /^licen[cs]e/i.test(file));
    const text = name === undefined ? '' : read(join(path, name));
    const owners = [...text.matchAll(/^\s*(?:Copyright:? )?((?:\(c\)|©|\d{4})\s(?!You must).*)$/gim)].map(([, owner]) =>
      owner.trim(),
    );
    const owner = owners.length > 0 ? owners.join('\n ') : `the authors of ${basename(path)}`;
    const person = typeof author === 'string' ? author : author?.name;
    return { files: `${program}/${path}/*`, owner: owners.length > 0 ? owner : (person ?? owner), license, text };
  });
  const head = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: smallservd\n`;
  return [head, ...[own, ...others].map(stanza)].join('\n');
}

function stanza({ files, owner, license, text }) {
  const common = 'On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.\n';
  const terms = license === 'Apache-2.0' ? common : text || `The license that its package.json names: ${license}.\n`;
  const lines = terms
    .trimEnd()
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`));
  return `Files: ${files}\nCopyright: ${owner}\nLicense: ${license === 'MIT' ? 'Expat' : license}\n${lines.join('\n')}\n`;
}

function read(path) {
  return readFileSync(join(checkout, path), 'utf8');
}

function gzip(text) {
  return gzipSync(text, { level: 9 });
}

function put(path, content, mode = 0o644) {
  makeDirectory(dirname(path));
  writeFileSync(join(tree, path), content);
  chmodSync(join(tree, path), mode);
}

function copy(from, to) {
  const content = readFileSync(join(checkout, from));
  put(to, content, content.toString('latin1', 0, 2) === '#!' ? 0o755 : 0o644);
}

/** Relative, as Debian wants links within a directory of the top level. */
function link(path, to) {
  makeDirectory(dirname(path));
  symlinkSync(relative(dirname(path), to), join(tree, path));
}

/** Whatever the umask. */
function makeDirectory(path) {
  if (path !== '.') makeDirectory(dirname(path));
  mkdirSync(join(tree, path), { recursive: true });
  chmodSync(join(tree, path), 0o755);
}

function filesIn(directory) {
  return walk(join(checkout, directory))
    .filter((path) => statSync(path).isFile())
    .map((path) => relative(checkout, path));
}

/** All below a directory, sorted, what is in a directory before itself. */
function walk(directory) {
  const entries = readdirSync(directory, { withFileTypes: true }).toSorted((one, other) =>
    one.name < other.name ? -1 : 1,
  );
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? [...walk(path), path] : [path];
  });
}
