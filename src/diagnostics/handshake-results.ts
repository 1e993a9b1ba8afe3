/** What the TLS layer says of a failed handshake, and what that comes to. */
const RESULTS: readonly (readonly [reasons: RegExp, result: string])[] = [
  [/^no ALPN$|NO_APPLICATION_PROTOCOL/, 'alpn'],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW/, 'version'],
  [/NO_SHARED_CIPHER|NO_SUITABLE|HANDSHAKE_FAILURE/, 'no-common-parameters'],
  [/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE)/, 'certificate-refused'],
  [/HTTP_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LENGTH|UNKNOWN_PROTOCOL/, 'not-tls'],
  [/HANDSHAKE_TIMEOUT/, 'timeout'],
  [/^(ECONNRESET|EPIPE|ETIMEDOUT)$/, 'connection-lost'],
];

/** The result of a handshake that failed for `reason`: one of few, since peers choose the reasons and every result is a time series. */
export function handshakeResult(reason: string): string {
  return RESULTS.find(([reasons]) => reasons.test(reason))?.[1] ?? 'other';
}
