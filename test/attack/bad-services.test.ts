import { it } from 'vitest';
import { serveBesideFlooding, serveBesideThrowing } from './bad-services.ts';

it('a service that throws costs the others nothing', async () => {
  await serveBesideThrowing(3);
});

it('a service that floods costs the others no answer', async () => {
  await serveBesideFlooding(1);
});
