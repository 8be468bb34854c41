// A thread beside the devices that writes, and kills the server in the middle of it. On a thread of its own the kill
// comes when it is meant to, however busy the devices are, and finds their requests at any stage.
//
// `workerData` is { url, pid, name }. The thread says `ready`, waits for a message, and last tells what became of
// what it sent, { upload, bulk, singles }, with the status of each answer, undefined where none came.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const CLIENTS = 8;
const ANSWERS_BEFORE = 40;
const BULK = 1_000;
const UPLOAD_BYTES = 24 * 1024 * 1024; // Half of it doesn't fit into the buffers of a socket: the server reads.

const { url, pid, name } = workerData;
const agent = new http.Agent({ keepAlive: true });

/** A document with a revision of its own, so that it may be sent again and comes out the same. */
function document(kind, i) {
  const _id = `${name}-${kind}-${String(i).padStart(5, '0')}`;
  return { _id, _rev: `1-${createHash('md5').update(_id).digest('hex')}`, owner: 'load', i, text: _id.repeat(10) };
}

/** A request whose body is yet to be written, and the promise of its status. */
function open(method, path, type, length) {
  const headers = { 'content-type': type, 'content-length': length };
  const request = http.request(`${url}/${path}`, { method, headers, agent });
  const status = new Promise((resolve) => {
    const cut = () => resolve(undefined);
    request.on('error', cut).on('response', (response) => {
      response
        .on('error', cut)
        .on('end', () => resolve(response.statusCode))
        .resume();
    });
  });
  return { request, status };
}

const json = (body) => Buffer.from(JSON.stringify(body));

/** Sends a JSON body; `written` comes once all of it is on its way. */
function send(method, path, bytes) {
  const { request, status } = open(method, path, 'application/json', bytes.length);
  const written = new Promise((resolve) => request.end(bytes, resolve));
  return { status, written };
}

/** An upload of which the server gets half. */
async function upload() {
  const { request, status } = open('PUT', `${name}-upload/half.bin`, 'application/octet-stream', UPLOAD_BYTES);
  await new Promise((resolve) => request.write(Buffer.alloc(UPLOAD_BYTES / 2, 7), resolve));
  return { status };
}

/** Clients that write one document after the other, each until it gets no answer. */
class Clients {
  sent = [];
  answers = 0;

  constructor() {
    this.warm = new Promise((resolve) => (this.isWarm = resolve));
    this.ended = Promise.all(Array.from({ length: CLIENTS }, () => this.#run()));
  }

  async #run() {
    for (;;) {
      const entry = { doc: document('single', this.sent.length), status: undefined };
      this.sent.push(entry);
      entry.status = await send('PUT', `${entry.doc._id}?new_edits=false`, json(entry.doc)).status;
      if (entry.status === undefined) return;
      this.answers += 1;
      if (this.answers === ANSWERS_BEFORE) this.isWarm();
    }
  }
}

const docs = Array.from({ length: BULK }, (_, i) => document('bulk', i));
const batch = json({ docs, new_edits: false });
const half = await upload();
const clients = new Clients();
await clients.warm;
parentPort.postMessage('ready');
await once(parentPort, 'message');
const bulk = send('POST', '_bulk_docs', batch);
await bulk.written;
process.kill(pid, 'SIGKILL');
await clients.ended;
parentPort.postMessage({
  upload: await half.status,
  bulk: { docs, status: await bulk.status },
  singles: clients.sent,
});
