// The server's replicator before peers that fail, cut, stall and lie: it ends right, and nothing is lost.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Crooked } from './crooked.mjs';
import { Server } from './server.mjs';

const [here, there] = await Promise.all([Server.start(), Server.start()]);
after(() => Promise.all([here.remove(), there.remove()]));

const name = (url) => url.split('/').pop();

const KINDS = [
  'GET db', 'GET _local', 'GET _changes', 'POST _revs_diff', 'POST _bulk_get', 'GET doc', 'PUT doc', 'POST _bulk_docs',
  'POST _ensure_full_commit', 'PUT _local',
];

/** A source with more than one batch, and documents with attachments. */
async function filled(server) {
  const url = server.fresh('filled');
  await server.expect(201, 'PUT', url);
  const docs = Array.from({ length: 250 }, (_, i) => ({ _id: `doc-${i}`, i }));
  for (let i = 0; i < 3; i += 1) {
    const data = randomBytes(200_000).toString('base64');
    docs.push({ _id: `picture-${i}`, _attachments: { file: { content_type: 'image/png', data } } });
  }
  await server.expect(201, 'POST', `${url}/_bulk_docs`, { body: { docs } });
  return url;
}

async function leaves(server, url) {
  const { results } = await server.expect(200, 'GET', `${url}/_changes?style=all_docs`);
  return results.map(({ id, changes }) => `${id} ${changes.map(({ rev }) => rev)}`).sort();
}

async function same([fromServer, from], [toServer, to]) {
  assert.deepEqual(await leaves(toServer, to), await leaves(fromServer, from));
  for (let i = 0; i < 3; i += 1) {
    const path = `picture-${i}/file`;
    const [one, other] = [await fromServer.expect(200, 'GET', `${from}/${path}`), await toServer.expect(200, 'GET', `${to}/${path}`)];
    assert.ok(one.equals(other), path);
  }
}

/** Small batches, and no long waits. */
const tuning = { worker_batch_size: 50, checkpoint_interval: 50, connection_timeout: 1_000 };

/** Copies by way of the crooked peer, as source or as target. */
async function copy(t, side, treat, more = {}) {
  const crooked = await Crooked.start(t, there, treat);
  const [fromServer, toServer] = side === 'source' ? [there, here] : [here, there];
  const from = await filled(fromServer);
  const to = toServer.fresh('copy');
  await toServer.expect(201, 'PUT', to);
  const seen = (url) => `${crooked.url}/${name(url)}`;
  const body = {
    source: side === 'source' ? seen(from) : name(from),
    target: side === 'target' ? seen(to) : name(to),
    ...tuning,
    ...more,
  };
  const run = () => here.request('POST', '/_replicate', { body, signal: AbortSignal.timeout(60_000) });
  return { crooked, run, from: [fromServer, from], to: [toServer, to] };
}

for (const side of ['source', 'target']) {
  for (const [what, treatment] of [
    ['fails with 500 at first', { status: 500 }],
    ['cuts its answers at first', { cut: true }],
    ['is overloaded at first', { status: 429 }],
    ['does not answer at first', { stall: true }],
    ['answers with something else at first', { status: 200, body: '<html>' }],
  ]) {
    test(`a ${side} that ${what}`, async (t) => {
      const treat = (kind, count) => (count === 1 ? treatment : {});
      const { crooked, run, from, to } = await copy(t, side, treat);
      const { status, body } = await run();
      assert.equal(status, 200, JSON.stringify(body));
      await same(from, to);
      const met = KINDS.filter((kind) => crooked.counts[kind]);
      assert.ok(met.length >= 6, `${met}`);
      assert.equal((await run()).body.no_changes, true);
    });
  }
}

test('a target that takes half of an attachment', async (t) => {
  const { run, from, to } = await copy(t, 'target', (kind, count) => (kind === 'PUT doc' && count <= 2 ? { cutRequest: true } : {}));
  const { status, body } = await run();
  assert.equal(status, 200, JSON.stringify(body));
  await same(from, to);
});

test('a target that stores, and whose word of it is lost', async (t) => {
  const { run, from, to } = await copy(t, 'target', (kind, count) =>
    ['POST _bulk_docs', 'PUT doc', 'PUT _local'].includes(kind) && count <= 2 ? { cut: true } : {},
  );
  const { status, body } = await run();
  assert.equal(status, 200, JSON.stringify(body));
  await same(from, to);
});

test('what a target never takes is in no checkpoint', async (t) => {
  let isBroken = true;
  const treat = (kind, count) => (isBroken && kind === 'POST _bulk_docs' && count > 2 ? { status: 503 } : {});
  const { run, from, to } = await copy(t, 'target', treat, { retries_per_request: 1 });
  const failed = await run();
  assert.equal(failed.status, 500);
  assert.equal(failed.body.error, 'bulk_docs_failed');
  isBroken = false;
  assert.equal((await run()).status, 200);
  await same(from, to);
});

test('a source that is another one by the time of the checkpoint', async (t) => {
  const change = (text) => text.replace(/"instance_start_time":"\d+"/, '"instance_start_time":"7"');
  const { run, from, to } = await copy(t, 'source', (kind) => (kind === 'POST _ensure_full_commit' ? { change } : {}));
  const { status, body } = await run();
  assert.equal(status, 500);
  assert.equal(body.error, 'checkpoint_commit_failure');
  await same(from, to);
  const [server, url] = to;
  const { rows } = await server.expect(200, 'GET', `${url}/_local_docs`);
  assert.deepEqual(rows, [], 'there is no checkpoint');
});

test('documents a target refuses are counted, and the rest goes on', async (t) => {
  const refuse = { status: 403, body: '{"error":"forbidden","reason":"no pictures"}' };
  const { run, to } = await copy(t, 'target', (kind) => (kind === 'PUT doc' ? refuse : {}));
  const { status, body } = await run();
  assert.equal(status, 200);
  assert.deepEqual([body.history[0].docs_written, body.history[0].doc_write_failures], [250, 3]);
  const [server, url] = to;
  assert.equal((await server.expect(200, 'GET', url)).doc_count, 250);
});

test('a source without _bulk_get', async (t) => {
  const { run, from, to } = await copy(t, 'source', (kind) => (kind === 'POST _bulk_get' ? { status: 404 } : {}));
  const { status, body } = await run();
  assert.equal(status, 200, JSON.stringify(body));
  await same(from, to);
});

test('a source that knows no multipart', async (t) => {
  const accept = 'application/json';
  const { crooked, run, from, to } = await copy(t, 'source', (kind) => (kind === 'GET doc' ? { accept } : {}));
  const { status, body } = await run();
  assert.equal(status, 200, JSON.stringify(body));
  await same(from, to);
  assert.ok(crooked.seen.some(({ url }) => url.includes('attachments=true')));
});

test('a target that lacks an attachment it should have', async (t) => {
  const missing = { status: 412, body: '{"error":"missing_stub","reason":"it is gone"}' };
  let isLacking = false;
  const treat = (kind) => {
    if (kind !== 'PUT doc' || !isLacking) return {};
    isLacking = false;
    return missing;
  };
  const { run, from, to } = await copy(t, 'target', treat);
  assert.equal((await run()).status, 200);
  const [server, url] = from;
  const { _id, _rev, _attachments } = await server.expect(200, 'GET', `${url}/picture-0`);
  await server.expect(201, 'PUT', `${url}/picture-0`, { body: { _id, _rev, _attachments, changed: true } });
  isLacking = true;
  const { status, body } = await run();
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(isLacking, false, 'the target was asked to keep what it has');
  await same(from, to);
});

test('credentials go to no other host', async (t) => {
  const thief = await Crooked.start(t, there, () => ({ status: 200, body: '{}' }));
  const moved = { status: 302, headers: { location: `${thief.url}/db/` } };
  const { crooked, run } = await copy(t, 'source', () => moved);
  const { status, body } = await run();
  assert.equal(status, 500);
  assert.match(body.reason, /redirects to elsewhere are not followed/);
  assert.ok(crooked.seen.length > 0);
  assert.equal(thief.seen.length, 0);
});

test('name and password are sent, and never shown', async (t) => {
  const crooked = await Crooked.start(t, there, () => {});
  const from = await filled(there);
  const source = `${crooked.url}/${name(from)}`.replace('//', '//ada:a%20word@');
  const target = { url: `${here.url}/${name(here.fresh('shown'))}`, auth: { basic: { username: 'ada', password: 'a word' } } };
  const { status, body } = await here.request('POST', '/_replicate', { body: { source, target, create_target: true } });
  assert.equal(status, 200, JSON.stringify(body));
  const sent = `Basic ${Buffer.from('ada:a word').toString('base64')}`;
  assert.ok(crooked.seen.every(({ headers }) => headers.authorization === sent));
  assert.ok(!JSON.stringify(body).includes('word@') && !JSON.stringify(body).includes('a word'));
});

/** A file of those that `cargo test` makes: of an authority, and of a server that it vouches for. */
function certificates(part) {
  const folder = process.env.TIDEGATE_TEST_CERTIFICATES;
  assert.ok(folder, 'TIDEGATE_TEST_CERTIFICATES: `cargo test -p tidegate-server --test e2e` makes certificates and sets it');
  return join(folder, `${part}.pem`);
}

/** The real peer behind TLS. */
async function secured(t) {
  const file = (part) => readFileSync(certificates(part));
  const server = createSecureServer({ key: file('key'), cert: file('certificate') }, (request, response) => {
    const { method, url, headers } = request;
    const forwarded = send(there.url + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `https://127.0.0.1:${server.address().port}`;
}

test('a peer behind TLS is believed if its authority is', async (t) => {
  const url = await secured(t);
  const from = await filled(there);
  const to = here.fresh('secured');
  const body = { source: `${url}/${name(from)}`, target: name(to), create_target: true, retries_per_request: 0 };
  const refused = await here.expect(500, 'POST', '/_replicate', { body });
  assert.match(refused.reason, /certificate/i);
  const setting = '/_node/_local/_config/replicator/ssl_trusted_certificates_file';
  const path = certificates('authority');
  await here.expect(200, 'PUT', setting, { body: JSON.stringify(path), headers: { 'content-type': 'application/json' } });
  await here.expect(200, 'POST', '/_replicate', { body });
  await same([there, from], [here, to]);
});

test('a proxy is gone through, with its own credentials', async (t) => {
  const requests = [];
  const authorized = (request) => {
    requests.push(`${request.method} ${request.url}`);
    return request.headers['proxy-authorization'] === `Basic ${Buffer.from('p:q').toString('base64')}`;
  };
  const proxy = createServer((request, response) => {
    if (!authorized(request)) return response.writeHead(407).end();
    const { method, url, headers } = request;
    const forwarded = send(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    return request.pipe(forwarded);
  });
  proxy.on('connect', (request, socket) => {
    if (!authorized(request)) return socket.end('HTTP/1.1 407 No\r\n\r\n');
    const [host, port] = request.url.split(':');
    const far = connect(port, host, () => {
      socket.write('HTTP/1.1 200 Fine\r\n\r\n');
      far.pipe(socket).pipe(far);
    });
    far.on('error', () => socket.destroy());
    return socket.on('error', () => far.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const through = `http://p:q@127.0.0.1:${proxy.address().port}`;
  const from = await filled(there);
  for (const [source, seen] of [
    [from, `GET ${from}/`],
    [`${await secured(t)}/${name(from)}`, 'CONNECT'],
  ]) {
    const to = here.fresh('proxied');
    const body = { source, target: name(to), create_target: true, source_proxy: through };
    await here.expect(200, 'POST', '/_replicate', { body });
    await same([there, from], [here, to]);
    assert.ok(requests.some((request) => request.startsWith(seen)), `${seen}: ${requests}`);
  }
});

test('a source whose feeds end at once is not asked in a storm', async (t) => {
  let [third, asked] = [() => {}, []];
  const thrice = new Promise((resolve) => (third = resolve));
  const crooked = await Crooked.start(t, there, (kind, _count, request) => {
    if (kind !== 'GET _changes' || request.url.includes('limit=1')) return {};
    asked.push(performance.now());
    if (asked.length === 3) third();
    return { status: 200, body: '{"last_seq":"0","pending":0}\n' };
  });
  const from = await filled(there);
  const to = name(here.fresh('storm'));
  const body = { source: `${crooked.url}/${name(from)}`, target: to, create_target: true, continuous: true };
  await here.expect(202, 'POST', '/_replicate', { body });
  await thrice;
  await here.expect(200, 'POST', '/_replicate', { body: { ...body, cancel: true } });
  assert.ok(asked[2] - asked[0] > 1_800, `${asked}`);
});
