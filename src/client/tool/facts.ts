/** One fact a line, its name before it, the values below each other; a fact that is undefined is left out. */
export function formatFacts(facts: readonly (readonly [name: string, value: string | undefined])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => (value === undefined ? '' : `${name.padEnd(width)}  ${value}\n`)).join('');
}
