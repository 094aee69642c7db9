import type { FaultRules } from '../faults/fault-rules.ts';
import { resolveFaults } from './config.ts';
import { Problems } from './problems.ts';
import { readSection } from './reading.ts';
import { ownSchema } from './schema.ts';
import { type ConfigMap, setNode } from './tree.ts';

/**
 * Reads faults given by path, such as `delay.time`, each as text. What is not given has its default. Undefined if none
 * can happen. Throws `ConfigInvalidError` with all problems.
 */
export function readFaults(texts: Readonly<Record<string, string>>): FaultRules | undefined {
  const problems = new Problems();
  const map: ConfigMap = new Map();
  for (const [path, text] of Object.entries(texts)) {
    const keys = path.split('.');
    const origin = () => ({ where: path, rank: 0, names: keys });
    setNode(map, keys, { value: text, origin, keyOffset: 0, offset: 0 });
  }
  const root = { value: map, origin: () => ({ where: 'faults', rank: 0, names: undefined }), keyOffset: 0, offset: 0 };
  const { values } = readSection(ownSchema.faults, root, [], { directory: '/', report: problems.reporter(root) });
  if (problems.areAny) throw problems.toError();
  return resolveFaults(values);
}
