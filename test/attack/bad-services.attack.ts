import { it } from 'vitest';
import { serveBesideFlooding, serveBesideHanging, serveBesideThrowing } from './bad-services.ts';

it('a service that throws costs the others nothing', async () => {
  await serveBesideThrowing(100);
});

it('a service that floods costs the others no answer', async () => {
  await serveBesideFlooding(10);
});

it('a service that hangs costs the others nothing that a reconnecting client notices', async () => {
  await serveBesideHanging();
});
