import { toolNames } from './index.ts';

/** Whether a command line that could not be parsed asks a tool for JSON. */
export function wantsJson([tool = '', ...args]: readonly string[]): boolean {
  const end = args.indexOf('--');
  const options = args.slice(0, end < 0 ? undefined : end);
  const isFormat = options.includes('--format=json') || options[options.indexOf('--format') + 1] === 'json';
  return toolNames.includes(tool) && (options.includes('--json') || (tool === 'echo' && isFormat));
}
