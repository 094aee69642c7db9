/**
 * Imported first by each daemon process. Exits if Node's debugger is open, because any local user could run code
 * through it. Handles SIGUSR1, which would otherwise open it. https://nodejs.org/api/process.html#signal-events
 */
import { writeSync } from 'node:fs';

process.on('SIGUSR1', () => {});

/** `node --inspect smallservd.js` is deliberate. NODE_OPTIONS do not appear in these arguments. */
const isWanted = process.execArgv.some((argument) => /^--inspect(?:-brk|-wait)?(?:=|$)/.test(argument));

/** Aborts if the debugger is open: by NODE_OPTIONS, or by a signal before the handler was installed. */
function refuseDebugger(): void {
  if (isWanted || !process.features.inspector) return;
  if (process.getBuiltinModule('node:inspector').url() === undefined) return;
  try {
    writeSync(2, 'the Node.js debugger is open, refusing to run: remove --inspect from NODE_OPTIONS\n');
  } finally {
    // Any other exit, even a signal to ourselves, waits for connected debuggers, which could run code meanwhile.
    process.abort();
  }
}

refuseDebugger();
// Node opens it in a later turn of its event loop if the signal came just before the handler.
setImmediate(() => setImmediate(refuseDebugger));
setTimeout(refuseDebugger, 100).unref();
