/**
 * A service module for smallservd: it tells a client the address and port that the server sees it under. Behind a
 * NAT or a load balancer these are not the client's own.
 *
 * @typedef {{ format: 'text' | 'json' }} Options
 * @typedef {import('smallservd').PeerAddress} PeerAddress
 */

/** @type {import('smallservd').ServiceModule<Options>} */
const whatismyip = {
  name: 'whatismyip',
  summary: 'tells a client the address and port that the server sees',
  options: {
    format: { doc: 'How the answer is written.', format: ['text', 'json'], default: 'text' },
  },
  create: ({ format }) => ({
    stream(client) {
      // The zone of a link-local address is an interface of this machine, which means nothing to others (RFC 4007).
      const peer = { ...client.peer, address: client.peer.address.replace(/%.*/, '') };
      const line = format === 'json' ? toJson(peer) : toText(peer);
      client.end(Buffer.from(`${line}\r\n`));
    },
  }),
};

export default whatismyip;

/** @param {PeerAddress} peer */
function toJson({ family, address, port }) {
  return JSON.stringify(family === 'unix' ? { family } : { family, address, port });
}

/** @param {PeerAddress} peer */
function toText({ family, address, port }) {
  if (family === 'unix') return 'unix';
  return family === 'ipv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
