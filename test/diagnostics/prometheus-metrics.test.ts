import { expect, test } from 'vitest';

import { handshakeResult } from '../../src/diagnostics/handshake-results.ts';
import { serveMetrics } from '../../src/diagnostics/metrics-endpoint.ts';
import { PrometheusMetrics } from '../../src/diagnostics/prometheus-metrics.ts';
import { FakeClock } from '../support/fake-clock.ts';

const PLAIN = { host: '127.0.0.1', port: 0 };

function watched(clock = new FakeClock()) {
  const metrics = new PrometheusMetrics(clock);
  const figures = { connectionCount: 3, openUploadCount: 2, certificateEndsMs: clock.now() + 86_400_000 };
  metrics.watch(figures);
  return { metrics, clock, figures };
}

async function samples(metrics: PrometheusMetrics): Promise<string[]> {
  const { body } = await metrics.text();
  return body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('what a server tells is counted by labels', async () => {
  const { metrics } = watched();
  metrics.refusal();
  metrics.handshake({ version: 'TLSv1.3' });
  metrics.handshake({ reason: 'no ALPN' });
  metrics.content('sent', 10);
  metrics.content('sent', 5);
  metrics.request({ action: 'get', result: 'ok', seconds: 0.02, file: 'sent' });
  metrics.request({ action: 'get', result: 'not-found', seconds: 3, file: undefined });
  metrics.error('not-found');
  expect(await samples(metrics)).toEqual(
    expect.arrayContaining([
      'sealift_connections_refused_total 1',
      'sealift_handshakes_total{version="TLSv1.3",result="ok"} 1',
      'sealift_handshakes_total{version="none",result="alpn"} 1',
      'sealift_bytes_total{direction="sent"} 15',
      'sealift_files_total{direction="sent"} 1',
      'sealift_requests_total{action="get",result="ok"} 1',
      'sealift_requests_total{action="get",result="not-found"} 1',
      'sealift_request_duration_seconds_bucket{le="0.025",action="get"} 1',
      'sealift_request_duration_seconds_count{action="get"} 2',
      'sealift_errors_total{code="not-found"} 1',
    ]),
  );
});

test('what a server has now is read when it is asked for', async () => {
  const { metrics, clock, figures } = watched();
  clock.advance(3_600_000);
  figures.connectionCount = 4;
  expect(await samples(metrics)).toEqual(
    expect.arrayContaining([
      'sealift_connections 4',
      'sealift_uploads_open 2',
      'sealift_certificate_expiry_seconds 82800',
    ]),
  );
});

test('how late the event loop is, is observed twice a second until it is closed', async () => {
  const { metrics, clock } = watched();
  clock.advance(500);
  const schedule = clock.monotonicMs.bind(clock);
  // As if something had kept the loop busy for 30 ms.
  clock.monotonicMs = () => schedule() + 30;
  clock.advance(500);
  expect(await samples(metrics)).toEqual(
    expect.arrayContaining([
      'sealift_event_loop_lag_seconds_bucket{le="0.025"} 1',
      'sealift_event_loop_lag_seconds_bucket{le="0.05"} 2',
    ]),
  );
  metrics.close();
  expect(clock.pendingCount).toBe(0);
});

test.each([
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'not-tls'],
  ['ERR_SSL_HTTP_REQUEST', 'not-tls'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'version'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'version'],
  ['ERR_SSL_NO_APPLICATION_PROTOCOL', 'alpn'],
  ['no ALPN', 'alpn'],
  ['ERR_SSL_NO_SHARED_CIPHER', 'no-common-parameters'],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', 'no-common-parameters'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'certificate-refused'],
  ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN', 'certificate-refused'],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', 'timeout'],
  ['ECONNRESET', 'connection-lost'],
  ['whatever a peer makes up', 'other'],
])('a handshake that failed by %s counts as %s', (reason, result) => {
  expect(handshakeResult(reason)).toBe(result);
});

test('the pages tell metrics, life, and whether the server is ready in time', async () => {
  const clock = new FakeClock();
  const metrics = new PrometheusMetrics(clock);
  let isReady = Promise.resolve(true);
  const server = { isReady: () => isReady };
  const pages = await serveMetrics(PLAIN, { server, metrics, clock });
  const page = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${pages.address.port}${path}`, { method });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    };
  };
  expect(await page('/metrics')).toMatchObject({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: expect.stringContaining('sealift_connections_refused_total 0'),
  });
  expect(await page('/live')).toMatchObject({ status: 200, body: 'live\n' });
  expect(await page('/ready?verbose')).toMatchObject({ status: 200, body: 'ready\n' });
  isReady = Promise.resolve(false);
  expect(await page('/ready')).toMatchObject({ status: 503, body: 'not ready\n' });
  isReady = new Promise(() => undefined);
  const hanging = page('/ready');
  await clock.whenScheduled();
  clock.advance(2_000);
  expect(await hanging).toMatchObject({ status: 503 });
  expect(await page('/etc/passwd')).toMatchObject({ status: 404 });
  expect(await page('/metrics', 'POST')).toMatchObject({ status: 405 });
  await pages.close();
  await expect(page('/live')).rejects.toThrow();
});
