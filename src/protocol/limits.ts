/**
 * Every limit of the wire, with its unit in the name and its reason beside it. SPEC.md lists the same numbers.
 * The limits of files and of names belong to rooms below and are repeated here so that this page is whole.
 */
export { BLOCK_BYTES, MAX_FILE_BYTES } from '../transfer/blocks.ts';
export { MAX_COMPONENT_BYTES, MAX_PATH_BYTES } from '../transfer/remote-path.ts';

/** The one version of the protocol that is spoken here. */
export const PROTOCOL_VERSION = 1;
/** The ALPN id: the version is in it, so that a later one can be told apart before a byte is sent. */
export const ALPN_ID = 'sealift/1';
/** Where a server listens unless told otherwise. */
export const DEFAULT_PORT = 7433;

/** Bytes of the length that begins a message. */
export const LENGTH_BYTES = 2;
/** Bytes of a header: a path of 4,096 bytes, escaped threefold, still fits; the 64 KiB of the length do not. */
export const MAX_HEADER_BYTES = 16_384;
/** Fields of a header: the largest message has fewer than 20; more only costs memory. */
export const MAX_HEADER_FIELDS = 64;
/** Levels of objects and lists inside a header: no message has more than two. */
export const MAX_HEADER_DEPTH = 8;
/** Bytes of a content: one block, so that a receiver needs no more memory than that for a message. */
export const MAX_CONTENT_BYTES = 1_048_576;
/** Bytes of a content before the hello is finished: a stranger gets less. */
export const MAX_CONTENT_BYTES_BEFORE_HELLO = 65_536;

/** Digests in one page of a digest list: as many as a content holds. */
export const MAX_DIGESTS_PER_PAGE = MAX_CONTENT_BYTES / 32;
/** Paths in one `file-digests`: the digests of so many fit one content, and more would gain nothing. */
export const MAX_DIGESTED_FILES = 1_024;
/** Bytes of a file of which `file-digests` tells the digest: a larger one would keep those beside it waiting, and is worth a request of its own. */
export const MAX_DIGESTED_FILE_BYTES = 65_536;
/** Bytes of JSON in one page of a listing: small enough that a page is made and read without a pause. */
export const LISTING_PAGE_BYTES = 262_144;
/** Requests in flight on a connection, one of which clients keep free for `cancel`: with small files, so many fill a way of 100 ms at 10,000 a second. */
export const MAX_REQUESTS = 1_024;
/** Bytes of a request's header for which it takes one of these places: together no more than 1 MiB waits. */
export const HEADER_BYTES_PER_PLACE = 1_024;
/** Requests of a connection that are worked on at once; the others wait, in their order. */
export const MAX_REQUESTS_AT_WORK = 64;
/** Bytes of content of requests being worked on, per connection; beyond it the server stops reading. Four blocks, as many as Node's thread pool writes at once: more would only wait in memory. */
export const MAX_CONTENT_BYTES_IN_FLIGHT = 4 * MAX_CONTENT_BYTES;
/** Bytes of answers with file content being made or sent, per connection. */
export const MAX_ANSWER_BYTES_IN_FLIGHT = 4 * MAX_CONTENT_BYTES;

/** Characters of the name by which a program introduces itself. */
export const MAX_AGENT_CHARACTERS = 200;
/** Characters of a token or a join code. */
export const MAX_SECRET_CHARACTERS = 512;
/** Characters of a certificate with that of its authority, and of a request for one (PEM): several times what either needs, and a header has room for it. */
export const MAX_CERTIFICATE_CHARACTERS = 8_192;
/** Characters of a search query: matching costs time in proportion to it. */
export const MAX_QUERY_CHARACTERS = 1_024;
/** Bytes of a symbolic link's target: PATH_MAX of Linux, of which one byte ends the text. */
export const MAX_LINK_TARGET_BYTES = 4_095;
/** Characters of the name of a lease. */
export const MAX_LOCK_NAME_CHARACTERS = 200;
/** The longest lease, in milliseconds: what holds longer than a day has to be renewed. */
export const MAX_LOCK_TTL_MS = 86_400_000;
/** Leases that a principal holds at once: a run needs one; more than its many jobs have only costs memory, and names that others want. */
export const MAX_LEASES_PER_PRINCIPAL = 100;
/** Characters of a media type and of a content encoding. */
export const MAX_TYPE_CHARACTERS = 255;
/** Characters of an etag. */
export const MAX_ETAG_CHARACTERS = 200;
/** Characters of the id of a version. */
export const MAX_VERSION_CHARACTERS = 128;
/** The longest pause that a peer's `retry-after-ms` is believed, in milliseconds. */
export const MAX_RETRY_AFTER_MS = 30_000;

/** Bytes of the key to a port without TLS. */
export const PLAIN_KEY_BYTES = 32;
/** Bytes that such a port takes: more than a measurement needs. */
export const MAX_PLAIN_BYTES = 4_294_967_296;
/** How long it is open, in milliseconds. */
export const PLAIN_LIFETIME_MS = 30_000;

/** The TLS handshake, from the accepted connection, in milliseconds; absolute. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** The hello, from the end of the handshake, in milliseconds; absolute. */
export const HELLO_TIMEOUT_MS = 10_000;
/** A header, from its first byte, in milliseconds; absolute. */
export const HEADER_TIMEOUT_MS = 10_000;
/** A connection with nothing in flight, in milliseconds. */
export const IDLE_TIMEOUT_MS = 300_000;
/** The span over which a content has to move, and a peer has to accept something, in milliseconds. */
export const STALL_TIMEOUT_MS = 60_000;
/** The slowest content, in bytes per second over the stall timeout. */
export const MIN_CONTENT_RATE = 1_024;
/** The longest silence during long work, in milliseconds: then a `progress` is sent. */
export const PROGRESS_INTERVAL_MS = 5_000;
/** How long what still comes is discarded after an error of the stream, in milliseconds, so that the error is read. */
export const DISCARD_MS = 1_000;
