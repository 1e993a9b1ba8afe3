import multicastDns, { type MulticastDNS } from 'multicast-dns';
import { expect, onTestFinished, test } from 'vitest';

import { localNetworks } from '../../src/transport/local-networks.ts';
import {
  announceService,
  browseServices,
  type ServiceInstance,
} from '../../src/transport/multicast-services.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freeUdpPort } from '../support/udp-port.ts';

const TYPE = '_example._tcp.local';
const networks = localNetworks('127.0.0.1');
const common = { type: TYPE, networks };

function service(name: string): Omit<ServiceInstance, 'addresses'> {
  return { name, host: 'here.local', port: 7433, text: { pin: 'a=b', empty: '' } };
}

/** Another program in the network, as it hears answers. */
function listener(port: number): { dns: MulticastDNS; answer: () => Promise<(readonly [string, number])[]> } {
  const dns = multicastDns({ port, interface: '127.0.0.1', bind: '0.0.0.0' });
  onTestFinished(() => dns.destroy());
  const heard: (readonly [string, number])[][] = [];
  let arrived = Promise.withResolvers<void>();
  dns.on('response', ({ answers = [] }) => {
    heard.push(answers.map((answer) => [answer.type, 'ttl' in answer ? (answer.ttl ?? 0) : 0]));
    arrived.resolve();
    arrived = Promise.withResolvers();
  });
  const answer = async () => {
    while (heard.length === 0) await arrived.promise;
    return heard.shift() ?? [];
  };
  return { dns, answer };
}

/** Resolves when `count` questions from now on were heard by all in the network. */
async function questionsHeard(dns: MulticastDNS, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let heard = 0;
  dns.on('query', () => (heard += 1) === count && resolve());
  await promise;
  // What this socket has heard, the other one hears in the same turn or the next.
  for (let turn = 0; turn < 2; turn += 1) await new Promise((passed) => setImmediate(passed));
}

test('services that are announced are found, with where they are and what they say', async () => {
  const [port, clock] = [await freeUdpPort(), new FakeClock()];
  for (const name of ['one', 'two']) {
    const announced = await announceService(() => service(name), { ...common, port, clock });
    onTestFinished(() => announced.close());
  }
  const found = new Map<string, ServiceInstance>();
  const all = Promise.withResolvers<void>();
  const search = await browseServices(
    (instance) => {
      found.set(instance.name, instance);
      if (found.size === 2) all.resolve();
    },
    { ...common, port, clock },
  );
  onTestFinished(() => search.close());
  // They have just said it unasked; now they are asked again.
  clock.advance(1_000);
  await all.promise;
  expect(found.get('one')).toEqual({ ...service('one'), addresses: ['127.0.0.1'] });
  expect(found.get('two')).toEqual({ ...service('two'), addresses: ['127.0.0.1'] });
});

test('a service announces itself twice, answers once a second however many ask, and says goodbye', async () => {
  const [port, clock] = [await freeUdpPort(), new FakeClock()];
  const { dns, answer } = listener(port);
  await new Promise<void>((resolve) => dns.on('ready', () => resolve()));
  const announced = await announceService(() => service('one'), { ...common, port, clock });
  const records = [
    ['PTR', 4_500],
    ['SRV', 120],
    ['TXT', 4_500],
    ['A', 120],
  ];
  expect(await answer()).toEqual(records);
  clock.advance(1_000);
  expect(await answer()).toEqual(records);
  const asked = questionsHeard(dns, 20);
  for (let count = 0; count < 20; count += 1) dns.query([{ name: TYPE.toUpperCase(), type: 'PTR' }]);
  await asked;
  clock.advance(1_000);
  expect(await answer()).toEqual(records);
  clock.advance(10_000);
  await announced.close();
  // The goodbye comes next: there was no other answer.
  expect(await answer()).toEqual(records.map(([type]) => [type, 0]));
  expect(clock.pendingCount).toBe(0);
});

test('who says that it knows the service is not told of it, nor who asks for another', async () => {
  const [port, clock] = [await freeUdpPort(), new FakeClock()];
  const { dns, answer } = listener(port);
  await new Promise<void>((resolve) => dns.on('ready', () => resolve()));
  const announced = await announceService(() => service('one'), { ...common, port, clock });
  await answer();
  clock.advance(1_000);
  await answer();
  clock.advance(1_000);
  const asked = questionsHeard(dns, 2);
  dns.query({
    questions: [{ name: TYPE, type: 'PTR' }],
    answers: [{ name: TYPE, type: 'PTR', ttl: 4_500, data: `one.${TYPE}` }],
  });
  dns.query([{ name: '_other._tcp.local', type: 'PTR' }]);
  await asked;
  await announced.close();
  // The goodbye comes next.
  expect((await answer()).map(([, ttl]) => ttl)).toEqual([0, 0, 0, 0]);
});

test('answers that make no sense find nothing', async () => {
  const [port, clock] = [await freeUdpPort(), new FakeClock()];
  const names: string[] = [];
  const found = Promise.withResolvers<void>();
  const search = await browseServices(
    ({ name }) => {
      names.push(name);
      found.resolve();
    },
    { ...common, port, clock },
  );
  onTestFinished(() => search.close());
  const { dns } = listener(port);
  const pointer = (data: string, ttl = 120) => ({ name: TYPE, type: 'PTR', ttl, data }) as const;
  const srv = (name: string) =>
    ({ name, type: 'SRV', ttl: 120, data: { port: 1, target: 'x.local' } }) as const;
  dns.respond([pointer('nowhere')]);
  dns.respond([pointer(`no-service.${TYPE}`)]);
  dns.respond([pointer('elsewhere.local'), srv('elsewhere.local')]);
  dns.respond([pointer(`gone.${TYPE}`, 0), srv(`gone.${TYPE}`)]);
  dns.respond([pointer(`there.${TYPE}`), srv(`there.${TYPE}`)]);
  await found.promise;
  expect(names).toEqual(['there']);
});
