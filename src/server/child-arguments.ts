/** Removes the variables that Node reads: they could open a debugger or run code in the processes that we start. */
export function removeNodeVariables(environment: NodeJS.ProcessEnv): void {
  for (const variable of Object.keys(environment)) if (variable.startsWith('NODE_')) delete environment[variable];
}

/**
 * Arguments for every Node that we start. Until our code is loaded, SIGUSR1 opens the debugger. The first option, where
 * Node has it, prevents that. With the second nobody can connect, because that takes an id told only to the supervisor.
 * https://nodejs.org/api/cli.html#--inspect-publish-uidstderrhttp
 */
export const childArguments: readonly string[] = [
  process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? '--disable-sigusr1' : '--inspect-publish-uid=stderr',
];
