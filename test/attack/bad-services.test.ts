import { it } from 'vitest';
import { serveBesideFlooding, serveBesideThrowing } from './bad-services.ts';

it('a service that throws does not affect the others', async () => {
  await serveBesideThrowing(3);
});

it('a service that floods does not make the others drop answers', async () => {
  await serveBesideFlooding(1);
});
