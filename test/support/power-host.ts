import { Connector } from '../../src/client/connector.ts';
import { Server } from '../../src/server/server.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import type { Address } from '../../src/transport/address.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { loopbackCertificate } from './certificates.ts';
import { DISK_ROOT, type ModelDisk } from './disk/model-disk.ts';
import { FakeClock } from './fake-clock.ts';
import { FaultyFiles } from './faulty-files.ts';
import { tokenOf, usersToml } from './test-server.ts';

const USER = 'tester';

/** A machine with a model disk, on which a server runs that can die, and come back at the same address. */
export class PowerHost implements AsyncDisposable {
  disk: ModelDisk;
  readonly keepVersionsMs: number;
  readonly #pin: string;
  #files: FaultyFiles;
  #store: FileStore;
  #server: Server;
  #died = Promise.withResolvers<void>();

  private constructor(parts: Parts, pin: string) {
    this.disk = parts.disk;
    this.keepVersionsMs = parts.keepVersionsMs;
    this.#pin = pin;
    this.#files = parts.files;
    this.#store = parts.store;
    this.#server = parts.server;
  }

  static async start(disk: ModelDisk, keepVersionsMs: number): Promise<PowerHost> {
    const { cert } = await loopbackCertificate();
    const parts = await started(disk, keepVersionsMs, { host: '127.0.0.1', port: 0 });
    return new PowerHost(parts, certificatePin(Buffer.from(cert)));
  }

  /** The calls of the present server on its disk. They may be made to fail. */
  get files(): FaultyFiles {
    return this.#files;
  }

  /** Resolves when the server dies. */
  get died(): Promise<void> {
    return this.#died.promise;
  }

  /** A connector whose time stands still. */
  connector(): Connector {
    const { address } = this.#server;
    return new Connector({ address, pins: [this.#pin], token: tokenOf(USER), clock: new FakeClock() });
  }

  /** The server dies instead of making call number `number`: none of its bytes reaches the disk or a client any more. */
  dieAt(number: number): void {
    this.#files.failFrom(number, 'EIO', (each) => {
      if (each === number) this.#server.destroyConnections();
      this.#died.resolve();
    });
  }

  /** Another server comes up in its place, on `disk`. */
  async replace(disk: ModelDisk): Promise<void> {
    const { address } = this.#server;
    await this.#end();
    const { server, store, files } = await started(disk, this.keepVersionsMs, address);
    this.disk = disk;
    this.#server = server;
    this.#store = store;
    this.#files = files;
    this.#died = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  // Of one that died, closing its files fails as everything else.
  async #end(): Promise<void> {
    await this.#server[Symbol.asyncDispose]().catch(() => undefined);
    await this.#store[Symbol.asyncDispose]();
  }
}

interface Parts {
  disk: ModelDisk;
  keepVersionsMs: number;
  files: FaultyFiles;
  store: FileStore;
  server: Server;
}

async function started(disk: ModelDisk, keepVersionsMs: number, address: Address): Promise<Parts> {
  const files = new FaultyFiles(disk);
  const store = await FileStore.open({ root: DISK_ROOT, files, keepVersionsMs });
  const principals = parsePrincipals(usersToml({ [USER]: {} }), 'the users of a test');
  const trust = { principals, authorities: undefined, trustsAuthorities: false };
  const tls = await loopbackCertificate();
  const server = await Server.start({ store, address, tls, clientTrust: () => trust });
  return { disk, keepVersionsMs, files, store, server };
}
