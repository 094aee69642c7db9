import { tools } from './index.ts';

/** Whether a command line that could not be parsed asks a tool for JSON. */
export function wantsJson([tool, ...args]: readonly string[]): boolean {
  const end = args.indexOf('--');
  return tools.some(({ name }) => name === tool) && args.slice(0, end < 0 ? undefined : end).includes('--json');
}
