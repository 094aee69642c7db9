/**
 * For every Node that we start: SIGUSR1 opens no debugger, not even before our code is loaded, where Node knows how.
 */
export const childArguments: readonly string[] = ['--disable-sigusr1'].filter((option) =>
  process.allowedNodeEnvironmentFlags.has(option),
);
