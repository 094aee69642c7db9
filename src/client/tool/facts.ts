/** One name and value per line, with the values aligned. Undefined values are left out. */
export function formatFacts(facts: readonly (readonly [name: string, value: string | undefined])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => (value === undefined ? '' : `${name.padEnd(width)}  ${value}\n`)).join('');
}
