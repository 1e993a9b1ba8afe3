import {
  connect,
  Connector,
  createServer,
  download,
  fileSink,
  openFileSource,
  PartialFile,
  PutTree,
  syncTree,
  upload,
} from 'sealift';

// Serves a directory. The key pair is made at the first start and kept; clients know it by its pin.
const server = await createServer({ root: './served', host: '127.0.0.1', port: 0, anonymous: 'write' });
const options = { address: server.address, pins: [server.pin] };

// One connection, with a method for each action.
const client = await connect(options);
await client.put('notes/hello.txt', Buffer.from('Hello!\n'));
for await (const { path, size } of client.list('', { recursive: true })) console.log(path, size);
await client.close();

// Files of any size. The connector makes a new connection whenever the last one broke.
const connector = new Connector(options);
const source = await openFileSource('./photos.tar');
const { receipt } = await upload(connector, source, 'backup/photos.tar');
await source[Symbol.asyncDispose]();
console.log(receipt.path, receipt.size, receipt.digest);

// And back: './copy.tar' appears when all of it is there and checked.
const partial = await PartialFile.open('./copy.tar', receipt.path);
const { size, mtimeMs, mode } = await download(connector, receipt.path, fileSink(partial));
await partial.complete({ size, mtimeMs, mode, mustBeNew: false });
await partial[Symbol.asyncDispose]();

// Whole trees: what differs is sent, and counts once it is on the server's disk.
const photos = new PutTree({ connector, root: './photos', top: 'photos' });
const isComplete = await syncTree(photos, {
  observer: { onFailed: (error, path) => console.error(path, error.code) },
});
console.log(isComplete ? 'All is there.' : 'Something is missing.');

await connector[Symbol.asyncDispose]();
await server.close();
