/**
 * Run first by each process of the daemon: no signal and no environment variable opens Node's debugger, through which
 * any local user could run code in this process. Without a handler SIGUSR1 opens it.
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
    // Any other end, and closing the debugger, would wait for whoever is connected, who runs code here meanwhile.
    process.kill(process.pid, 'SIGKILL');
  }
}
