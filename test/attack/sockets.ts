/** Which sockets the attacked daemon uses: `npm run attack` tries both, `npm test` those of the kernel. */
export const sockets = process.env['SMALLSERVD_TEST_SOCKETS'] === 'node' ? 'node' : 'kernel';

/** Whether they are Node's. */
export const isNode = sockets === 'node';
