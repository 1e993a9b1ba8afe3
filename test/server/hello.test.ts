import { describe, expect, test } from 'vitest';

import { isBlake3Available } from '../../src/transfer/digests.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startDirectoryServer, startTestServer, tokenOf } from '../support/test-server.ts';

const ALL = ['read', 'write', 'list', 'delete'];

test('the answer says who one is, what one may do, and how the server works', async () => {
  const clock = new FakeClock();
  const { connect } = await startTestServer({
    clock,
    agent: 'a test',
    idleTimeoutMs: 77_000,
    users: { alice: { permissions: ['read', 'list'] }, bob: {} },
  });
  const { header } = await (await connect()).hello({ token: tokenOf('alice') });
  expect(header).toMatchObject({
    status: 'ok',
    protocol: 1,
    agent: 'a test',
    principal: 'alice',
    permissions: ['read', 'list'],
    digest: 'sha256',
    encodings: ['zstd', 'gzip'],
    'time-ms': clock.now(),
    'block-size': 1_048_576,
    'max-requests': 1_024,
    'idle-timeout-ms': 77_000,
    features: ['symlink', 'lock', 'bench', 'file-digests'],
  });
  expect(header).not.toHaveProperty('token');
});

test.each([
  [undefined, 'sha256'],
  ['sha256', 'sha256'],
  ['blake3', isBlake3Available() ? 'blake3' : 'sha256'],
])('who asks for the digest %s gets %s', async (digest, expected) => {
  const { login } = await startTestServer();
  const client = await login('tester', digest === undefined ? {} : { digest });
  expect(client.messages[0]?.header['digest']).toBe(expected);
});

test.each([
  ['another version', { protocol: 2 }, { code: 'unsupported-version', supported: [1], retryable: false }],
  [
    'another version, whose fields are others',
    { protocol: 2, agent: { name: 'later' }, digest: 'sha3', encodings: 'all' },
    { code: 'unsupported-version', supported: [1] },
  ],
  ['a version that is none', { protocol: '2' }, { code: 'bad-request' }],
  ['no version', { protocol: undefined }, { code: 'bad-request' }],
  ['a digest that nobody knows', { digest: 'md5' }, { code: 'bad-request' }],
  ['a wrong token', { token: 'nonsense' }, { code: 'unauthenticated', retryable: false }],
  ['an empty token', { token: '' }, { code: 'unauthenticated' }],
  ['a join code where nobody joins', { join: 'ABC' }, { code: 'unauthenticated' }],
  ['nothing', {}, { code: 'unauthenticated', message: 'This server wants a token or a client certificate.' }],
])('a hello with %s is refused, and a right one may follow', async (_, fields, expected) => {
  const { connect } = await startTestServer();
  const client = await connect();
  expect((await client.hello(fields)).header).toMatchObject({ status: 'error', ...expected });
  expect((await client.hello({ token: tokenOf('tester') })).header['status']).toBe('ok');
  expect((await client.hello({ token: tokenOf('tester') })).header).toMatchObject({ code: 'bad-request' });
});

test('who says a refused hello again and again is not listened to any more', async () => {
  const { connect } = await startTestServer();
  const client = await connect();
  for (let id = 1; id <= 20; id += 1) client.send({ action: 'hello', id, protocol: 1, agent: 'a test' });
  await client.ended();
  expect(client.messages.map(({ header }) => header['code'])).toEqual(new Array(3).fill('unauthenticated'));
});

test.each(['ping', 'get', 'put', 'nonsense', undefined])('%s before the hello is refused', async (action) => {
  const { connect } = await startTestServer({ anonymous: 'write' });
  const client = await connect();
  client.send({ action, id: 5, path: 'a' }, { content: Buffer.alloc(65_536) });
  expect((await client.take()).header).toMatchObject({ id: 5, code: 'unauthenticated' });
});

test('a content longer than 64 KiB before the hello ends the stream', async () => {
  const { connect } = await startTestServer();
  const client = await connect();
  client.send({ action: 'echo', id: 1 }, { content: Buffer.alloc(65_537) });
  await client.ended();
  expect(client.messages.map(({ header }) => [header['code'], header['id']])).toEqual([
    ['content-too-large', undefined],
  ]);
});

test.each([
  ['none', undefined, []],
  ['read', null, ['read', 'list']],
  ['write', null, ALL],
] as const)('where strangers may do %s, one is %s', async (anonymous, principal, permissions) => {
  const { connect } = await startTestServer({ anonymous });
  const { header } = await (await connect()).hello();
  expect(header['principal']).toBe(principal);
  expect(header['permissions'] ?? []).toEqual(permissions);
});

test('a wrong token is not overlooked because strangers are welcome', async () => {
  const { connect } = await startTestServer({ anonymous: 'write' });
  expect((await (await connect()).hello({ token: 'wrong' })).header['code']).toBe('unauthenticated');
});

describe('a client certificate', () => {
  const setUp = async () => {
    const ca = await issueAuthority();
    return { ca, signed: await issueCertificate({ commonName: 'carol', names: ['carol.example'], ca }) };
  };

  test('is known by its key, whoever signed it', async () => {
    const own = await issueCertificate({ commonName: 'whoever' });
    const pins = [certificatePin(Buffer.from(own.cert))];
    const { connect } = await startTestServer({ users: { alice: { pins, permissions: ['read'] } } });
    const { header } = await (await connect(own)).hello();
    expect(header).toMatchObject({ principal: 'alice', permissions: ['read'] });
    const other = await issueCertificate({ commonName: 'whoever' });
    expect((await (await connect(other)).hello()).header).toMatchObject({ code: 'unauthenticated' });
  });

  test('is known by a name that the authority vouches for', async () => {
    const { ca, signed } = await setUp();
    const users = { alice: { names: ['CAROL.example'] } };
    const { connect } = await startTestServer({ users, tls: { clientCa: ca.cert } });
    expect((await (await connect(signed)).hello()).header['principal']).toBe('alice');
  });

  test('of another authority has no names', async () => {
    const { ca } = await setUp();
    const { signed } = await setUp();
    const users = { alice: { names: ['carol'] } };
    const options = { users, tls: { clientCa: ca.cert }, trustsAuthorities: true };
    const { connect } = await startTestServer(options);
    expect((await (await connect(signed)).hello()).header['code']).toBe('unauthenticated');
  });

  test.each([
    [true, { principal: 'carol', permissions: ALL }],
    [false, { code: 'unauthenticated' }],
  ])('that no principal has is somebody: %s', async (trustsAuthorities, expected) => {
    const { ca, signed } = await setUp();
    const { connect } = await startTestServer({ tls: { clientCa: ca.cert }, trustsAuthorities });
    expect((await (await connect(signed)).hello()).header).toMatchObject(expected);
  });

  test('counts less than a token', async () => {
    const { ca, signed } = await setUp();
    const options = { tls: { clientCa: ca.cert }, trustsAuthorities: true };
    const { connect } = await startTestServer(options);
    const { header } = await (await connect(signed)).hello({ token: tokenOf('tester') });
    expect(header['principal']).toBe('tester');
    expect((await (await connect(signed)).hello({ token: 'wrong' })).header['code']).toBe('unauthenticated');
  });
});

describe('a join code', () => {
  test('is exchanged for a token that lasts, once', async () => {
    const { server, connect, root } = await startDirectoryServer();
    const join = await server.issueJoinCode();
    const { header } = await (await connect()).hello({ join });
    expect(header).toMatchObject({ status: 'ok', permissions: ALL, token: expect.any(String) });
    expect((await (await connect()).hello({ join })).header['code']).toBe('unauthenticated');
    const { token, principal } = header;
    expect((await (await connect()).hello({ token })).header).toMatchObject({ principal });
    await server.close();
    const again = await startDirectoryServer({ root });
    expect((await (await again.connect()).hello({ token })).header).toMatchObject({ principal });
  });

  test('is void after 15 minutes', async () => {
    const clock = new FakeClock();
    const { server, connect } = await startDirectoryServer({ clock });
    const [first, second] = [await server.issueJoinCode(), await server.issueJoinCode()];
    clock.advance(15 * 60_000 - 1);
    expect((await (await connect()).hello({ join: first })).header['status']).toBe('ok');
    clock.advance(1);
    expect((await (await connect()).hello({ join: second })).header['code']).toBe('unauthenticated');
  });
});

test('who guesses has to wait, each time longer, and is then heard again', async () => {
  const clock = new FakeClock();
  const { connect } = await startTestServer({ clock });
  const answer = async (token: string) => (await (await connect()).hello({ token })).header;
  for (let n = 0; n < 5; n += 1) expect((await answer('wrong'))['code']).toBe('unauthenticated');
  const right = tokenOf('tester');
  expect(await answer(right)).toMatchObject({
    code: 'rate-limited',
    'retry-after-ms': 1_000,
    retryable: true,
  });
  clock.advance(1_000);
  expect((await answer('wrong'))['code']).toBe('unauthenticated');
  expect(await answer(right)).toMatchObject({ code: 'rate-limited', 'retry-after-ms': 2_000 });
  clock.advance(2_000);
  expect((await answer(right))['status']).toBe('ok');
});

test('failures are forgotten after a minute', async () => {
  const clock = new FakeClock();
  const { connect } = await startTestServer({ clock });
  const guess = async () => (await (await connect()).hello({ token: 'wrong' })).header['code'];
  for (let n = 0; n < 4; n += 1) await guess();
  clock.advance(60_000);
  for (let n = 0; n < 5; n += 1) expect(await guess()).toBe('unauthenticated');
});
