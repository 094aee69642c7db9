/**
 * Splits the text of /proc/PID/stat. Returns a function from the number of a field in proc_pid_stat(5), 3 or more, to
 * its value. The second field is the name of the process, which may contain anything.
 */
export function statFields(text: string): (number: number) => string | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (number) => fields[number - 3];
}
