/**
 * Makes getaddrinfo(3) give up about when the tool does (resolv.conf(5), RES_OPTIONS). It runs in a thread that cannot
 * be stopped, so with silent name servers it would hold up later lookups, and where koffi is missing the end of the
 * process, for up to 20 s. Settings of the user are kept.
 */
export function boundResolver(timeoutMs: number, environment: NodeJS.ProcessEnv = process.env): void {
  const attempts = timeoutMs < 2000 ? 1 : 2;
  const seconds = Math.max(1, Math.floor(timeoutMs / 1000 / attempts));
  environment['RES_OPTIONS'] ??= `timeout:${seconds} attempts:${attempts}`;
}
