import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

/** A request that came to the service. */
export interface HookCall {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** What was posted; undefined for a GET. */
  body: unknown;
}

/** What the service answers: a status, with a location where there is one, or nothing at all. */
export type HookAnswer = number | { status: number; location: string } | 'nothing';

/** A health-check service over HTTP, which keeps what it is told. Closed at the end of the test. */
export async function startHookService(
  answer: (call: HookCall, count: number) => HookAnswer = () => 200,
): Promise<{ origin: string; port: number; calls: HookCall[] }> {
  const calls: HookCall[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const { method = '', url: path = '', headers } = request;
      const body = method === 'POST' ? await json(request) : undefined;
      calls.push({ method, path, headers, body });
      const said = answer(calls.at(-1) as HookCall, calls.length);
      if (said === 'nothing') return;
      const { status, ...headersSaid } = typeof said === 'number' ? { status: said } : said;
      response.writeHead(status, headersSaid).end('heard');
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port, calls };
}
