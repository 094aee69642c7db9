/** Returns the message for a service that may not answer UDP on an address, including what to do. */
export function exposureMessage(listen: string, type: string, hazard: string): string {
  return (
    `${listen} exposes UDP to public addresses, where ${type} can be abused: ${hazard}. ` +
    'Listen on a loopback, private or link-local address, use TCP, or set exposeUdp: true (for services on the command line: --expose-udp)'
  );
}
