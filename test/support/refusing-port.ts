import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/**
 * A port of 127.0.0.1 that refuses connections for as long as it is not closed: it belongs to the end of a connection
 * that stands, so that nobody can come to listen on it meanwhile.
 */
export async function refusingPort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  await Promise.all([once(socket, 'connect'), once(server, 'connection')]);
  return {
    port: socket.localPort as number,
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
