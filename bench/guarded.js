// smallservd in one process with every guard on and limits out of reach. Prints its port.
import { startDaemon } from '../dist/index.js';

const outOfReach = { perSecond: 10_000_000, burst: 10_000_000 };
const daemon = await startDaemon(
  {
    log: { connections: 'info' },
    services: {
      [process.argv[2]]: {
        listen: ['tcp4://127.0.0.1:0'],
        exempt: [],
        maxConnections: 100_000,
        maxConnectionsPerSource: 100_000,
        connectionRate: outOfReach,
      },
    },
  },
  { log: { write() {} } },
);
process.stdout.write(`${daemon.listeners[0].port}\n`);
