/** What a worker process is started with. */
import '../../no-debugger.ts';

// As in smallservd.ts: what is imported by a statement is read before the debugger is forbidden.
await import('./worker-main.ts');
