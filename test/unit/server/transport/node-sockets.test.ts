/** What holds over direct sockets holds over those of Node, too: the same tests once more. */
import { useSockets } from '../../../support/daemon.ts';

useSockets('node');
await import('./misbehaving-services.test.ts');
await import('./proxy-protocol.test.ts');
await import('./stream-limits.test.ts');
await import('../../../wire/wire.test.ts');
