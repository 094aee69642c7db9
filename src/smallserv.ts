#!/usr/bin/env node
import './no-debugger.ts';

// Not by an import statement: Node reads all that is imported so before it runs the first line, and until then the
// debugger can be opened.
await import('./client/tool/main.ts');
