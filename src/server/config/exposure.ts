/** Why a kind of service may not answer UDP on an address, and what to do. */
export function exposureMessage(listen: string, type: string, hazard: string): string {
  return (
    `${listen} would answer UDP for strangers, and ${type} is abused there: ${hazard}; ` +
    'listen on a loopback, private or link-local address, use TCP, or set exposeUdp: true if this is really meant'
  );
}
