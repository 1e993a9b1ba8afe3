import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';

import { announce } from '../../src/diagnostics/announce.ts';
import { announcedServer, type AnnouncedServer } from '../../src/diagnostics/announced-server.ts';
import { discover, type DiscoveryWay } from '../../src/diagnostics/discover.ts';
import { claimOf, discoveryAnswer, discoveryQuestion } from '../../src/diagnostics/discovery-datagram.ts';
import { systemRandom } from '../../src/random.ts';
import { failureOf } from '../support/failure.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freeUdpPort } from '../support/udp-port.ts';

const PIN = `sha256//${Buffer.alloc(32, 1).toString('base64')}`;
const OTHER_PIN = `sha256//${Buffer.alloc(32, 2).toString('base64')}`;
const HERE = '127.0.0.1';

async function announced(
  way: DiscoveryWay,
  ports: readonly number[],
  udpPort: number,
  pin = () => PIN,
  hostname = 'box.example.org',
) {
  const clock = new FakeClock();
  for (const port of ports) {
    const announcement = await announce(
      { hostname, port, pin, version: '1.2.3' },
      { ways: [way], listenHost: HERE, ports: { [way]: udpPort }, clock },
    );
    onTestFinished(() => announcement.close());
  }
  // Past what they say unasked: from here on they answer at once.
  clock.advance(2_000);
}

/** What is found, which has to be `count` servers. */
async function found(way: DiscoveryWay, port: number, count: number): Promise<AnnouncedServer[]> {
  const clock = new FakeClock();
  const all = Promise.withResolvers<void>();
  let left = count;
  const onFound = () => (left -= 1) === 0 && all.resolve();
  const random = systemRandom;
  const searching = discover({ way, port, from: HERE, timeoutMs: 2_000, onFound, clock, random });
  await all.promise;
  clock.advance(2_000);
  return searching;
}

test.each<DiscoveryWay>(['multicast', 'broadcast'])('two servers are found by %s', async (way) => {
  const udpPort = await freeUdpPort();
  await announced(way, [7433, 7434], udpPort);
  const servers = await found(way, udpPort, 2);
  const common = { host: 'box.local', addresses: [HERE], pin: PIN, version: '1.2.3' };
  expect(servers.sort((one, other) => one.port - other.port)).toEqual([
    { ...common, name: 'box', port: 7433 },
    { ...common, name: 'box-7434', port: 7434 },
  ]);
});

test('the name of a machine that is too long for DNS is cut', async () => {
  const udpPort = await freeUdpPort();
  await announced('multicast', [7434], udpPort, () => PIN, 'x'.repeat(64));
  const [server] = await found('multicast', udpPort, 1);
  expect(server).toMatchObject({ name: `${'x'.repeat(57)}-7434`, host: `${'x'.repeat(57)}.local` });
});

test('a new certificate is announced with its pin', async () => {
  const udpPort = await freeUdpPort();
  let pin = PIN;
  await announced('broadcast', [7433], udpPort, () => pin);
  pin = OTHER_PIN;
  expect((await found('broadcast', udpPort, 1))[0]?.pin).toBe(OTHER_PIN);
});

test('an address that this machine does not have is refused', async () => {
  const clock = new FakeClock();
  const looking = discover({
    way: 'multicast',
    timeoutMs: 1,
    from: '203.0.113.77',
    clock,
    random: systemRandom,
  });
  expect((await failureOf(looking)).code).toBe('bad-configuration');
  const options = { ways: ['multicast'] as const, listenHost: '203.0.113.77', clock };
  const announcing = announce({ hostname: 'box', port: 1, pin: () => PIN, version: '1' }, options);
  expect((await failureOf(announcing)).code).toBe('bad-configuration');
});

test('a flood of questions in one second is answered twenty times', async () => {
  const udpPort = await freeUdpPort();
  const clock = new FakeClock();
  const announcement = await announce(
    { hostname: 'box', port: 7433, pin: () => PIN, version: '1' },
    { ways: ['broadcast'], listenHost: HERE, ports: { broadcast: udpPort }, clock },
  );
  onTestFinished(() => announcement.close());
  const socket = createSocket('udp4').bind(0, HERE);
  onTestFinished(() => void socket.close());
  await once(socket, 'listening');
  const nonces: string[] = [];
  let onAnswer = () => undefined as void;
  socket.on('message', (answer) => {
    nonces.push((JSON.parse(answer.toString()) as { nonce: string }).nonce);
    onAnswer();
  });
  const answers = (count: number) =>
    new Promise<void>((resolve) => {
      onAnswer = () => nonces.length >= count && resolve();
      onAnswer();
    });
  const nonce = (number: number) => number.toString(16).padStart(16, '0');
  for (let number = 0; number < 30; number += 1) socket.send(discoveryQuestion(nonce(number)), udpPort, HERE);
  await answers(20);
  clock.advance(1_000);
  socket.send(discoveryQuestion(nonce(30)), udpPort, HERE);
  await answers(21);
  expect(nonces).toEqual([...Array.from({ length: 20 }, (_, number) => nonce(number)), nonce(30)]);
});

const TOLD = { name: 'box', host: 'box.local', port: 7433, pin: PIN, version: '1.2.3' };
const NONCE = '0123456789abcdef';

test('an answer is never longer than its question, and belongs to it', () => {
  const question = discoveryQuestion(NONCE);
  const answer = discoveryAnswer(question, TOLD) as Buffer;
  expect(answer.length).toBeLessThanOrEqual(question.length);
  expect(claimOf(answer, NONCE, HERE)).toEqual({ ...TOLD, addresses: [HERE] });
  expect(claimOf(answer, 'fedcba9876543210', HERE)).toBeUndefined();
});

test.each([
  ['short', discoveryQuestion(NONCE).subarray(0, 100)],
  ['of another version', Buffer.alloc(512, 'sealift discover 2 0123456789abcdef\n')],
  ['with something behind it', Buffer.concat([discoveryQuestion(NONCE).subarray(0, 511), Buffer.from('x')])],
])('a question that is %s is not answered', (_, question) => {
  expect(discoveryAnswer(question, TOLD)).toBeUndefined();
});

test.each([
  ['no JSON', '{'],
  ['no object', '[1]'],
  ['null', 'null'],
  ['too long', JSON.stringify({ sealift: 1, nonce: NONCE, pad: 'x'.repeat(512) })],
])('an answer that is %s claims nothing', (_, text) => {
  expect(claimOf(Buffer.from(text), NONCE, HERE)).toBeUndefined();
});

test.each([
  ['no port', { port: undefined }],
  ['a port that is none', { port: 70_000 }],
  ['a name that is no text', { name: { toString: 'x' } }],
  ['a name without end', { name: 'x'.repeat(1_000) }],
])('who claims %s is not there', (_, claim) => {
  expect(announcedServer({ ...TOLD, addresses: [HERE], ...claim })).toBeUndefined();
});

test('addresses and pins that are none are left out', () => {
  expect(
    announcedServer({ ...TOLD, addresses: [HERE, 'x; rm -rf /', 7, '10.0.0.0/8'], pin: "sha256//'" }),
  ).toEqual({
    ...TOLD,
    addresses: [HERE],
    pin: undefined,
  });
});
