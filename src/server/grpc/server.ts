import { Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { VolleyError } from '../../errors.js';
import type { Service } from '../service.js';
import { type GrpcService, grpcService } from './service.js';
import { widenWindows } from './window.js';

/** Milliseconds for replies to reach their callers when the server stops. */
const GOODBYE_MS = 2000;

/**
 * Adds a store's service to a gRPC server of one's own, with standard health and reflection.
 *
 * @returns The service; end its streams before the server is shut down.
 */
export function addVectorStore(server: Server, service: Service): GrpcService {
  const grpc = grpcService(service, () => new Metadata());
  server.addService(grpc.definition, grpc.implementation);
  const health = new HealthImplementation({ '': 'SERVING', 'volley.v1.VectorStore': 'SERVING' });
  health.addToServer(server);
  new ReflectionService(grpc.packageDefinition).addToServer(server);
  return grpc;
}

/** Starts a gRPC server. */
export async function startGrpc(
  service: Service,
  host: string,
  port: number,
  tls: { cert: Buffer; key: Buffer } | undefined,
): Promise<{ address: string; close(): Promise<void> }> {
  const server = new Server({
    'grpc.max_receive_message_length': service.requestBytesMax,
    'grpc.max_send_message_length': -1,
  });
  const grpc = addVectorStore(server, service);
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }]);
  const name = host.includes(':') ? `[${host}]` : host;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${name}:${port}`, credentials, (cause, boundPort) => {
      if (cause === null) return resolve(boundPort);
      const message = `${host} port ${port} cannot be used: ${cause.message}`;
      reject(new VolleyError('INVALID_ARGUMENT', message, { details: { field: 'port' }, cause }));
    });
  });
  widenWindows(server);
  return {
    address: `${name}:${bound}`,
    close: () => {
      grpc.endStreams();
      return shutDown(server);
    },
  };
}

async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const forced = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, GOODBYE_MS);
    server.tryShutdown(() => {
      clearTimeout(forced);
      resolve();
    });
  });
}
