/** Returns the message for a service that may not answer UDP on an address, including what to do. */
export function exposureMessage(listen: string, type: string, hazard: string): string {
  return (
    `${listen} would answer UDP for strangers, and ${type} is abused there: ${hazard}; ` +
    'listen on a loopback, private or link-local address, use TCP, or set exposeUdp: true if this is really meant'
  );
}
