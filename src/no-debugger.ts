/**
 * Run first by each process of the daemon: it does not go on with Node's debugger open, through which any local user
 * could run code in it. Without a handler SIGUSR1 opens it.
 * https://nodejs.org/api/process.html#signal-events
 */
import { writeSync } from 'node:fs';

process.on('SIGUSR1', () => {});

/** `node --inspect smallservd.js` is meant; what NODE_OPTIONS holds is not among these arguments. */
const isWanted = process.execArgv.some((argument) => /^--inspect(?:-brk|-wait)?(?:=|$)/.test(argument));

// NODE_OPTIONS opened it, or a signal that came before the handler.
if (!isWanted && process.features.inspector && process.getBuiltinModule('node:inspector').url() !== undefined) {
  try {
    writeSync(2, 'the Node.js debugger is open, refusing to run: remove --inspect from NODE_OPTIONS\n');
  } finally {
    // Any other end waits for whoever is connected, who could run code here meanwhile: so does a signal to ourselves.
    process.abort();
  }
}
