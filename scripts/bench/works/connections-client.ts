// node connections-client.ts PROGRAM PIN PORT COUNT BYTES: connects so often, then puts a file over every connection.
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';

import { parseCount } from '../../../src/units.ts';
import type * as Library from '../../../src/index.ts';
import { contentOf, nameOf } from './connected-content.ts';

/** Handshakes at once: more only wait for the same processors. */
const AT_ONCE = 50;

const [program = '', pin = '', ...numbers] = process.argv.slice(2);
const [port = 0, count = 0, bytes = 0] = numbers.map((text) => parseCount(text));

// The library of the program that is measured, be it built or not.
const library = new URL(`../index${extname(program)}`, pathToFileURL(program));
const { connect } = (await import(library.href)) as typeof Library;

const clients: Awaited<ReturnType<typeof connect>>[] = [];
while (clients.length < count) {
  const next = Array.from({ length: Math.min(AT_ONCE, count - clients.length) }, () =>
    connect({
      address: { host: '127.0.0.1', port },
      pins: [pin],
      // All of them wait for their turn.
      timeoutMs: 600_000,
    }),
  );
  clients.push(...(await Promise.all(next)));
}
await Promise.all(clients.map((client, index) => client.put(nameOf(index), contentOf(index, bytes))));
await Promise.all(clients.map((client) => client.close()));
