import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { outcomeOf } from './network-error.ts';
import { type Patience, waitFor } from './wait.ts';

/** What a handshake has agreed on, and what the server's certificate says. */
export interface TlsSession {
  /** `TLSv1.3`. */
  readonly version: string;
  /** The name of IANA or of OpenSSL, as in `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string;
  /** From the server's certificate, as it says. Undefined if there is none. */
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  readonly validTo: Date | undefined;
  /** Days until the certificate expires, rounded down: negative after that. */
  readonly validDays: number | undefined;
  /** Why the certificate is not trusted for this name, or undefined. */
  readonly distrust: string | undefined;
}

const dayMs = 86_400_000;

/** In words, why OpenSSL or Node does not trust a certificate. */
const distrusts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate is from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is from an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is from an unknown authority',
  INVALID_PURPOSE: 'the certificate is not for servers',
};

/**
 * Makes the handshake as a client on a connected socket, which belongs to the TLS socket from then on. `name` is the
 * server's name for SNI (RFC 6066) and for its certificate; an address is for its certificate alone. The session tells
 * whether the certificate is trusted. Throws `ANSWER_WRONG` if the handshake fails, `CONNECTION_LOST` and `NO_ANSWER`,
 * and destroys the socket then.
 */
export async function startTls(
  socket: Socket,
  name: string,
  patience: Patience,
): Promise<{ readonly socket: TLSSocket; readonly session: TlsSession }> {
  const servername = isIP(name) === 0 ? { servername: name } : {};
  let secured: TLSSocket | undefined;
  try {
    return await waitFor(patience, late, (resolve, reject) => {
      const begun = connect({ socket, host: name, ...servername, rejectUnauthorized: false });
      secured = begun;
      const failed = (error: Error): void => reject(failureOf(error));
      begun.once('error', failed);
      begun.once('secureConnect', () => {
        begun.removeListener('error', failed);
        resolve({ socket: begun, session: sessionOf(begun, name, patience.clock) });
      });
      return () => {};
    });
  } catch (error) {
    secured?.on('error', () => {}).destroy();
    socket.on('error', () => {}).destroy();
    throw error;
  }
}

function late(waited: string): SmallservdError {
  return new SmallservdError('NO_ANSWER', `TLS: the handshake was not complete within ${waited}`);
}

function sessionOf(socket: TLSSocket, name: string, clock: Clock = systemClock): TlsSession {
  const certificate = socket.getPeerX509Certificate();
  const validToMs = Date.parse(certificate?.validTo ?? '');
  const isDated = !Number.isNaN(validToMs);
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName,
    subject: certificate?.subject,
    issuer: certificate?.issuer,
    validTo: isDated ? new Date(validToMs) : undefined,
    validDays: isDated ? Math.floor((validToMs - clock.now().getTime()) / dayMs) : undefined,
    distrust: socket.authorized ? undefined : distrustOf(socket.authorizationError, name),
  };
}

/** Node gives the code alone, as text, though its types say otherwise. */
function distrustOf(error: unknown, name: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate is not for ${name}`;
  return distrusts[code] ?? `the certificate is not trusted (${code.toLowerCase().replaceAll('_', ' ')})`;
}

function failureOf(cause: Error & { readonly code?: string; readonly reason?: string }): SmallservdError {
  const outcome = outcomeOf(cause);
  if (outcome === 'reset')
    return new SmallservdError('CONNECTION_LOST', 'TLS: the server closed the connection during the handshake', {
      cause,
    });
  if (outcome !== 'failed') return new SmallservdError('CONNECTION_LOST', `TLS: ${cause.message}`, { cause, outcome });
  const isPlain = cause.code === 'ERR_SSL_WRONG_VERSION_NUMBER';
  const reason = isPlain ? 'the answer is not TLS' : `handshake failed (${cause.reason ?? cause.message})`;
  return new SmallservdError('ANSWER_WRONG', `TLS: ${reason}`, { cause });
}
