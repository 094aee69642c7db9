/** Entry point of a worker process. */
import '../../no-debugger.ts';

// As in smallservd.ts: an import statement would be loaded before the debugger is forbidden.
await import('./worker-main.ts');
