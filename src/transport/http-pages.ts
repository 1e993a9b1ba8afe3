import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { listening } from './listen.ts';

/** What is answered to a GET. */
export interface HttpPage {
  status: number;
  contentType: string;
  body: string;
}

/** Pages that are served over HTTP in clear: for programs of the same machine or network, and nothing that is secret. */
export interface HttpPages {
  /** Where it really listens: port 0 has become a number. */
  readonly address: { host: string; port: number };
  /** Ends the connections, too. */
  close(): Promise<void>;
}

/** Whoever looks at a few small pages needs no more, and nobody may keep others from it by dawdling. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;

/** Serves pages by their path. Throws `bad-configuration` if the address cannot be had. */
export async function servePages(
  address: { host: string; port: number },
  pages: ReadonlyMap<string, () => Promise<HttpPage>>,
): Promise<HttpPages> {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => void answer(request, response, pages),
  );
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, address);
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: address.host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: ReadonlyMap<string, () => Promise<HttpPage>>,
): Promise<void> {
  const { status, contentType, body } = await pageFor(request, pages);
  response.writeHead(status, {
    'content-type': contentType,
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function pageFor(
  { method = '', url = '' }: IncomingMessage,
  pages: ReadonlyMap<string, () => Promise<HttpPage>>,
): Promise<HttpPage> {
  const page = pages.get(url.split('?', 1)[0] ?? '');
  if (page === undefined) return plain(404, `There are ${[...pages.keys()].join(', ')}.`);
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET and HEAD are understood.');
  return page().catch(() => plain(500, 'The page could not be made.'));
}

/** A page of one line. */
export function plain(status: number, line: string): HttpPage {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}
