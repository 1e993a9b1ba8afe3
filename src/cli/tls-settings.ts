import { tlsVariation, type TlsVariation, type TlsVersionText } from '../transport/tls-variation.ts';
import type { Settings } from './settings.ts';

/** What the options say of versions, ciphers, groups and protocols. Throws `bad-configuration`. */
export function tlsVariationIn(settings: Settings): TlsVariation {
  const { minTls, maxTls, ciphers, groups, alpn } = settings;
  return tlsVariation({
    minTls: minTls as TlsVersionText | undefined,
    maxTls: maxTls as TlsVersionText,
    ciphers: ciphers as string | undefined,
    groups: groups as string | undefined,
    alpn: alpn as string[] | undefined,
  });
}
