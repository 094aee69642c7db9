import type { FaultRules } from '../faults/fault-rules.ts';
import { resolveFaults } from './config.ts';
import { Problems } from './problems.ts';
import { readSection } from './reading.ts';
import { ownSchema } from './schema.ts';
import { type ConfigMap, type ConfigNode, type Place, setNode, treeOfObject } from './tree.ts';

/**
 * Reads faults given by path, such as `delay.time`, each as text. What is not given has its default. Undefined if none
 * can happen. Throws `ConfigInvalidError` with all problems.
 */
export function readFaults(texts: Readonly<Record<string, string>>): FaultRules | undefined {
  const problems = new Problems();
  const map: ConfigMap = new Map();
  for (const [path, text] of Object.entries(texts)) {
    const keys = path.split('.');
    setNode(map, keys, {
      value: text,
      origin: () => ({ where: path, rank: 0, names: keys }),
      keyOffset: 0,
      offset: 0,
    });
  }
  return read({ value: map, origin, keyOffset: 0, offset: 0 }, problems);
}

/**
 * Reads faults given as an object in the shape of a config. What is not given has its default. Undefined if none can
 * happen. Throws `ConfigInvalidError` with all problems.
 */
export function readFaultsObject(faults: object): FaultRules | undefined {
  const problems = new Problems();
  const root = treeOfObject(faults, origin, (path, message) => problems.add(origin(), path, message));
  return read(root, problems);
}

function origin(): Place {
  return { where: 'faults', rank: 0, names: undefined };
}

function read(root: ConfigNode, problems: Problems): FaultRules | undefined {
  const { values } = readSection(ownSchema.faults, root, [], { directory: '/', report: problems.reporter(root) });
  if (problems.areAny) throw problems.toError();
  return resolveFaults(values);
}
