/** Entry point of the admin endpoint's process. */
import '../../no-debugger.ts';

// As in smallservd.ts: an import statement would load the module before the debugger is disabled.
await import('./child-main.ts');
