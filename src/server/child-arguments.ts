/**
 * For every Node that we start. Until our code is loaded SIGUSR1 opens the debugger: not with the first option, where
 * Node knows it. With the second it opens it to nobody, since who does not know its id cannot connect, and only the
 * supervisor is told. https://nodejs.org/api/cli.html#--inspect-publish-uidstderrhttp
 */
export const childArguments: readonly string[] = [
  process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? '--disable-sigusr1' : '--inspect-publish-uid=stderr',
];
