/**
 * Has getaddrinfo(3) give up about when the tool does (resolv.conf(5), RES_OPTIONS): it runs in a thread that nothing
 * can end, and the process would outlive its own message by up to 20 s where name servers are silent. What the user has
 * set stays.
 */
export function boundResolver(timeoutMs: number, environment: NodeJS.ProcessEnv = process.env): void {
  const attempts = timeoutMs < 2000 ? 1 : 2;
  const seconds = Math.max(1, Math.floor(timeoutMs / 1000 / attempts));
  environment['RES_OPTIONS'] ??= `timeout:${seconds} attempts:${attempts}`;
}
