import { chargenChecks } from './chargen.ts';
import type { Check } from './check.ts';
import { daytimeChecks } from './daytime.ts';
import { discardChecks } from './discard.ts';
import { echoChecks } from './echo.ts';
import { fingerChecks } from './finger.ts';
import { identChecks } from './ident.ts';
import { qotdChecks } from './qotd.ts';
import { stampChecks } from './stamp.ts';
import { systatChecks } from './systat.ts';
import { tcpmuxChecks } from './tcpmux.ts';
import { timeChecks } from './time.ts';

/** All checks, in order of the services' ports, TCP before UDP. */
export const allChecks: readonly Check[] = [
  ...tcpmuxChecks,
  ...echoChecks,
  ...discardChecks,
  ...systatChecks,
  ...daytimeChecks,
  ...qotdChecks,
  ...chargenChecks,
  ...timeChecks,
  ...fingerChecks,
  ...identChecks,
  ...stampChecks,
];
