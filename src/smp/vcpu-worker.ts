/** What a worker thread of a cluster runs. */
import { parentPort } from 'node:worker_threads';
import { servePort, type Orders } from './serve.ts';

const port = parentPort;
if (port) servePort({ receive: take => port.on('message', (orders: Orders) => take(orders)), send: outcome => port.postMessage(outcome) });
