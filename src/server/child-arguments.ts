/**
 * Arguments for every Node that we start. Until our code is loaded, SIGUSR1 opens the debugger. The first option, where
 * Node has it, prevents that. With the second nobody can connect, because that takes an id told only to the supervisor.
 * https://nodejs.org/api/cli.html#--inspect-publish-uidstderrhttp
 */
export const childArguments: readonly string[] = [
  process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? '--disable-sigusr1' : '--inspect-publish-uid=stderr',
];
