// Writes the software bill of materials, CycloneDX 1.5, into the current directory: node scripts/sbom.js. It lists what
// runs of node_modules, by the lock file.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runtimePackages } from './runtime-packages.js';

const checkout = fileURLToPath(new URL('..', import.meta.url));

export const sbomFile = 'smallservd.cdx.json';

/** Returns the text of the bill. It is the same for the same lock file and version of npm. */
export function softwareBill() {
  const { name } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  const lock = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8'));
  // Its `--omit dev` omits packages, too, which run and which our tools need as well.
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  const bill = JSON.parse(execFileSync('npm', args, { cwd: checkout, encoding: 'utf8' }));
  const refs = new Set(runtimePackages(lock).map(([path, entry]) => refOf(path, entry)));
  const own = bill.metadata.component;
  // That of the directory.
  own.name = name;
  delete bill.metadata.timestamp;
  delete bill.serialNumber;
  bill.components = bill.components.filter((component) => refs.has(component['bom-ref']));
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => ref === own['bom-ref'] || refs.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) }));
  return `${JSON.stringify(bill, null, 2)}\n`;
}

/** As npm calls it. An alias has another name than its directory. */
function refOf(path, { name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length), version }) {
  return `${name}@${version}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(sbomFile, softwareBill());
