#!/usr/bin/env node
import './no-debugger.ts';

// Not an import statement: Node would load it before running the first line, while the debugger can still be opened.
await import('./client/tool/main.ts');
