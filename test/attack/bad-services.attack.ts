import { it } from 'vitest';
import { serveBesideFlooding, serveBesideHanging, serveBesideThrowing } from './bad-services.ts';

it('a service that throws does not affect the others', async () => {
  await serveBesideThrowing(100);
});

it('a service that floods does not make the others drop answers', async () => {
  await serveBesideFlooding(10);
});

it('a service that hangs does not affect reconnecting clients of the others', async () => {
  await serveBesideHanging();
});
