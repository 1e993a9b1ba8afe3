import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls';

import { SealiftError } from '../errors.ts';

/** What those who test a set-up vary of TLS, in the options of Node. */
export interface TlsVariation extends Pick<
  SecureContextOptions,
  'minVersion' | 'maxVersion' | 'ciphers' | 'ecdhCurve'
> {
  ALPNProtocols?: string[];
}

/** The same as people write it. */
export interface TlsWishes {
  /** Default `1.2`, or `maxTls` if that is older. */
  minTls?: TlsVersionText | undefined;
  /** Default `1.3`. */
  maxTls?: TlsVersionText | undefined;
  /** As OpenSSL lists them, with colons between them. Default: those of Node. */
  ciphers?: string | undefined;
  /** Key-exchange groups with colons between them, as in `X25519MLKEM768:X25519`. Default: those of OpenSSL. */
  groups?: string | undefined;
  /** Protocols, the preferred one first. Default: none. */
  alpn?: readonly string[] | undefined;
}

/** The versions of TLS, the oldest first. */
export const TLS_VERSIONS = ['1.0', '1.1', '1.2', '1.3'] as const;

export type TlsVersionText = (typeof TLS_VERSIONS)[number];

/** Understands what is wished. Throws `bad-configuration` for versions the wrong way round, and for ciphers and groups that OpenSSL does not know. */
export function tlsVariation({ maxTls = '1.3', ...wishes }: TlsWishes): TlsVariation {
  const { minTls = maxTls < '1.2' ? maxTls : '1.2', groups, alpn = [] } = wishes;
  if (minTls > maxTls)
    throw new SealiftError('bad-configuration', `TLS from ${minTls} to ${maxTls} is no range of versions.`);
  // OpenSSL does not speak the old versions unless it is told that security does not matter.
  const ciphers = wishes.ciphers ?? (minTls < '1.2' ? 'DEFAULT@SECLEVEL=0' : undefined);
  const context: SecureContextOptions = {
    minVersion: nodeVersion(minTls),
    maxVersion: nodeVersion(maxTls),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(groups === undefined ? {} : { ecdhCurve: groups }),
  };
  try {
    createSecureContext(context);
  } catch (cause) {
    throw new SealiftError(
      'bad-configuration',
      `OpenSSL cannot use these ciphers or groups (${(cause as Error).message}).`,
      { cause, hint: 'See: openssl ciphers -v ALL:COMPLEMENTOFALL, and openssl list -tls-groups' },
    );
  }
  return { ...context, ALPNProtocols: [...alpn] };
}

function nodeVersion(version: TlsVersionText): SecureVersion {
  return version === '1.0' ? 'TLSv1' : `TLSv${version}`;
}
