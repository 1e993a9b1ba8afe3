import { anySignal, systemClock, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { BLOCK_BYTES, PROTOCOL_VERSION } from '../protocol/limits.ts';
import { CONTENT_ENCODINGS } from '../protocol/requests.ts';
import { HELLO_ANSWER, readAnswer, type HelloAnswer } from '../protocol/responses.ts';
import { preferredAlgorithm, type DigestAlgorithm } from '../transfer/digests.ts';
import { formatAddress, type Address } from '../transport/address.ts';
import type { ContentEncoding } from '../transport/content-encoding.ts';
import { dial, type DialTls } from '../transport/dial.ts';
import type { Peer } from '../transport/peer.ts';
import { expiringClient, expiringServer, type ExpiringCertificate } from '../trust/expiring-certificates.ts';
import { verifyServer, type ServerTrust } from '../trust/verify-server.ts';
import { Client } from './client.ts';
import { Requests } from './requests.ts';

/** How to reach a server and to speak with it. Times in milliseconds. */
export interface ConnectOptions extends ServerTrust, DialTls {
  address: Address;
  /** A lasting token. */
  token?: string | undefined;
  /** A join code, exchanged in the hello for a token (`Client.hello.token`). */
  join?: string | undefined;
  /** With a join code: a request for a certificate (PKCS#10, PEM), which a server may answer beside the token (`Client.hello.certificate`). */
  certificateRequest?: string | undefined;
  /** Default: the fastest that this machine computes. */
  digest?: DigestAlgorithm | undefined;
  /** Compress file bytes both ways, as far as they shrink and the server does the same. Default false. */
  compress?: boolean | undefined;
  /** The name by which the program introduces itself. Default `sealift`. */
  agent?: string | undefined;
  /** Name and TCP. Default 10 s. */
  connectTimeoutMs?: number | undefined;
  /** Name, TCP, TLS and hello together. Default 20 s. */
  helloTimeoutMs?: number | undefined;
  /** Something is in flight and no byte moves. Default 60 s. */
  timeoutMs?: number | undefined;
  /** Called when TCP stands, before TLS and hello. */
  onConnected?: (() => void) | undefined;
  /** Called with the server once it is believed, before anything is said to it; throws to turn it down. */
  accept?: ((peer: Peer) => void) | undefined;
  /** Called for the client certificate and for that of the server, unless it is pinned, when 30 days are left of it or less. */
  onExpiring?: ((expiring: ExpiringCertificate) => void) | undefined;
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
}

/** Connects to a server: every address of its name is tried, its certificate is judged, and the hello is said. */
export async function connect(options: ConnectOptions): Promise<Client> {
  const { clock = systemClock, helloTimeoutMs = 20_000, signal, address } = options;
  const place = formatAddress(address);
  // Told before it is shown: an expired one may be the reason for what comes.
  if (options.cert !== undefined) tellExpiring(options, expiringClient(options.cert, place, clock));
  const deadline = new AbortController();
  const cancelDeadline = clock.schedule(helloTimeoutMs, () =>
    deadline.abort(
      new SealiftError('stalled', `${place} did not answer the hello within ${helloTimeoutMs / 1000} s.`),
    ),
  );
  const both = anySignal(signal, deadline.signal);
  try {
    const { connection, peer } = await dial({
      ...options,
      clock,
      tls: options,
      handshakeTimeoutMs: helloTimeoutMs,
      verify: (presented) => {
        verifyServer(presented, place, options);
        options.accept?.(presented);
      },
      signal: both,
    });
    tellExpiring(options, expiringServer(peer, place, options, clock));
    const requests = new Requests(connection, clock);
    try {
      const startMs = clock.monotonicMs();
      const hello = await sayHello(requests, options, both);
      return new Client(requests, {
        address,
        peer,
        hello,
        rttMs: clock.monotonicMs() - startMs,
        encodings: offeredEncodings(options),
      });
    } catch (error) {
      connection.destroy();
      throw error;
    }
  } finally {
    cancelDeadline();
  }
}

/** What we decode: without `compress` nothing, so that the server does not compress either. */
function offeredEncodings({ compress = false }: ConnectOptions): readonly ContentEncoding[] {
  return compress ? CONTENT_ENCODINGS : [];
}

function tellExpiring({ onExpiring }: ConnectOptions, expiring: ExpiringCertificate | undefined): void {
  if (expiring !== undefined) onExpiring?.(expiring);
}

async function sayHello(
  requests: Requests,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<HelloAnswer> {
  const { token, join, certificateRequest, agent = 'sealift', digest = preferredAlgorithm() } = options;
  const encodings = offeredEncodings(options);
  const { header } = await requests.send(
    'hello',
    {
      protocol: PROTOCOL_VERSION,
      agent,
      digest,
      ...(encodings.length === 0 ? {} : { encodings: [...encodings] }),
      token,
      join,
      certificateRequest,
    },
    { signal },
  );
  const hello = readAnswer(HELLO_ANSWER, header);
  if (hello.protocol !== PROTOCOL_VERSION || hello.blockSize !== BLOCK_BYTES) {
    throw new SealiftError(
      'protocol-violation',
      'The server speaks another version of the protocol than it was asked for.',
    );
  }
  requests.maxRequests = hello.maxRequests;
  return hello;
}
