import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { expect, onTestFinished, test } from 'vitest';

import { answerBroadcasts } from '../../src/transport/broadcasts.ts';
import { isNeighbour, localNetworks, type LocalNetwork } from '../../src/transport/local-networks.ts';
import { failureOf } from '../support/failure.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { isInstalled } from '../support/installed.ts';
import { freeUdpPort } from '../support/udp-port.ts';

const HERE = localNetworks('127.0.0.1');
const ELSEWHERE: LocalNetwork = {
  address: '203.0.113.1',
  cidr: '203.0.113.1/24',
  broadcast: '203.0.113.255',
  addresses: ['203.0.113.1'],
};

// No ordinary socket sends from port 0.
const OPEN_RAW = `
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
`;
const SEND_FROM_PORT_0 = `${OPEN_RAW}
port = int(sys.argv[1])
raw.sendto(struct.pack('!HHHH', 0, port, 8 + 6, 0) + b'forged', ('127.0.0.1', 0))
`;

/** Answers each question with `answer`, and takes down those that it got. */
async function answering(networks: readonly LocalNetwork[], answer: string) {
  const [port, questions] = [await freeUdpPort(), [] as string[]];
  const answerer = await answerBroadcasts(
    (question) => {
      questions.push(question.toString());
      return Buffer.from(answer);
    },
    { port, networks, clock: new FakeClock() },
  );
  onTestFinished(() => answerer.close());
  return { port, questions };
}

test('who is no neighbour is not answered, and nobody gets more than was sent', async () => {
  const far = await answering([ELSEWHERE], 'x');
  const long = await answering(HERE, 'longer than the question');
  const near = await answering(HERE, 'ok');
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  onTestFinished(() => void socket.close());
  const answers: string[] = [];
  socket.on('message', (answer) => answers.push(answer.toString()));
  for (const { port } of [far, long, near]) socket.send('question', port, '127.0.0.1');
  await once(socket, 'message');
  expect(answers).toEqual(['ok']);
  expect([far.questions, long.questions]).toEqual([[], ['question']]);
});

test.skipIf(!isInstalled('python3', '-c', OPEN_RAW))(
  'a forged datagram from port 0 is passed over, and those after it are answered',
  async () => {
    const { port, questions } = await answering(HERE, 'ok');
    expect(spawnSync('python3', ['-c', SEND_FROM_PORT_0, String(port)]).status).toBe(0);
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    onTestFinished(() => void socket.close());
    socket.send('question', port, '127.0.0.1');
    const [answer] = (await once(socket, 'message')) as [Buffer];
    expect(answer.toString()).toBe('ok');
    expect(questions).toEqual(['question']);
  },
);

test('a port that cannot be had is told', async () => {
  const socket = createSocket('udp4').bind(0);
  onTestFinished(() => void socket.close());
  await once(socket, 'listening');
  const { port } = socket.address();
  const answerer = answerBroadcasts(() => undefined, { port, networks: HERE, clock: new FakeClock() });
  expect((await failureOf(answerer)).message).toContain('EADDRINUSE');
});

test.each([
  ['203.0.113.77', true],
  ['203.0.114.1', false],
  ['::1', false],
])('%s is in the network of 203.0.113.1/24: %s', (address, isIn) => {
  expect(isNeighbour(address, ELSEWHERE)).toBe(isIn);
});

test('a server on one address is in its network only, with no other address of the machine', () => {
  expect(HERE).toEqual([
    { address: '127.0.0.1', cidr: '127.0.0.1/8', broadcast: '127.255.255.255', addresses: ['127.0.0.1'] },
  ]);
  expect(localNetworks().map(({ address }) => address)).toContain('127.0.0.1');
  expect(localNetworks('0.0.0.0')).toEqual(localNetworks());
  expect(localNetworks('203.0.113.77')).toEqual([]);
});
