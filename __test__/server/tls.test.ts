import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { get } from 'node:https';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { served } from './helpers.js';

/** A certificate for localhost that is its own authority, made for this test. */
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const cert = fixture('tls-cert.pem');
const tls = { cert, key: fixture('tls-key.pem') };
const ca = readFileSync(cert);

test('REST over TLS', async (t) => {
  const { url } = await served(t, { rest: 0, tls });
  t.regex(url, /^https:/);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = get(`${url}/health`, { ca, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
  });
  t.is(status, 200);
});

test('gRPC over TLS', async (t) => {
  const { server } = await served(t, { grpc: 0, tls });
  const session = connect(`https://${server.grpc}`, { ca });
  t.teardown(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(Buffer.alloc(5));
  stream.resume();
  const trailers = await new Promise<Record<string, unknown>>((resolve, reject) => {
    stream.on('trailers', resolve);
    stream.on('error', reject);
  });
  t.is(Number(trailers['grpc-status']), 0);
});
