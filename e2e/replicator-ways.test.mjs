// The server's replicator and peers that ask for something first: a session, another address, patience, a proxy.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import { Crooked } from './crooked.mjs';
import { within } from './deadline.mjs';
import { Server } from './server.mjs';

const WAIT_MS = 30_000;
const [here, there] = await Promise.all([Server.start(), Server.start()]);
after(() => Promise.all([here.remove(), there.remove()]));

const name = (url) => url.split('/').pop();
const replicate = (body) => here.request('POST', '/_replicate', { body });

async function filled() {
  const url = there.fresh('filled');
  await there.expect(201, 'PUT', url);
  const docs = Array.from({ length: 20 }, (_, i) => ({ _id: `doc-${i}`, i }));
  const _attachments = { a: { content_type: 'image/png', data: Buffer.alloc(100_000, 7).toString('base64') } };
  await there.expect(201, 'POST', `${url}/_bulk_docs`, { body: { docs: [...docs, { _id: 'picture', _attachments }] } });
  return url;
}

async function same(from, to) {
  const leaves = async (server, url) =>
    (await server.expect(200, 'GET', `${url}/_changes`)).results.map(({ id, changes }) => `${id} ${changes[0].rev}`).sort();
  assert.deepEqual(await leaves(here, to), await leaves(there, from));
}

/** A peer that takes no password, but the session that it was asked for last. */
function guarded() {
  let logins = 0;
  const treat = (_kind, _count, request) => {
    if (request.url === '/_session') {
      logins += 1;
      return { status: 200, headers: { 'set-cookie': `AuthSession=s${logins}; Version=1; Path=/; HttpOnly` } };
    }
    if (request.headers.cookie !== `AuthSession=s${logins}` || request.headers.authorization) {
      return { status: 401, body: '{"error":"unauthorized","reason":"log in"}' };
    }
    // The server behind knows nothing of it.
    delete request.headers.cookie;
    return {};
  };
  return { treat, logins: () => logins };
}

test('a peer that asks for a session gets one, as source and as target', async (t) => {
  const { treat, logins } = guarded();
  const crooked = await Crooked.start(t, there, treat);
  const withCredentials = (url) => `${crooked.url}/${name(url)}`.replace('//', '//ada:secret@');
  const from = await filled();
  const to = here.fresh('session');
  const pulled = await replicate({ source: withCredentials(from), target: name(to), create_target: true });
  assert.equal(pulled.status, 200, JSON.stringify(pulled.body));
  await same(from, to);
  assert.equal(logins(), 1);
  const back = there.fresh('back');
  const pushed = await replicate({ source: name(to), target: withCredentials(back), create_target: true });
  assert.equal(pushed.status, 200, JSON.stringify(pushed.body));
  await same(back, to);
});

test('a session that is refused ends in the refusal', async (t) => {
  const crooked = await Crooked.start(t, there, () => ({ status: 401, body: '{"error":"unauthorized","reason":"no"}' }));
  const source = `${crooked.url}/db`.replace('//', '//ada:wrong@');
  const { status, body } = await replicate({ source, target: name(here.fresh('never')), create_target: true });
  assert.equal(status, 401, JSON.stringify(body));
  assert.equal(crooked.seen.filter(({ url }) => url === '/_session').length, 1);
});

test('redirects on the same server are followed', async (t) => {
  const from = await filled();
  const moved = new Set();
  const crooked = await Crooked.start(t, there, (kind, _count, { method, url }) => {
    if (!url.startsWith('/old')) return {};
    moved.add(kind);
    const status = method === 'GET' ? 301 : 308;
    return { status, headers: { location: url.replace(/^\/old/, `/${name(from)}`) } };
  });
  const to = here.fresh('moved');
  const { status, body } = await replicate({ source: `${crooked.url}/old`, target: name(to), create_target: true });
  assert.equal(status, 200, JSON.stringify(body));
  await same(from, to);
  assert.deepEqual([...moved].sort(), [
    'GET _changes', 'GET _local', 'GET db', 'GET doc', 'POST _bulk_get', 'POST _ensure_full_commit', 'PUT _local',
  ]);
});

test('redirects in a circle end', async (t) => {
  const crooked = await Crooked.start(t, there, (_kind, _count, { url }) => ({ status: 302, headers: { location: url } }));
  const body = { source: `${crooked.url}/db`, target: name(here.fresh('never')), create_target: true };
  const answer = await replicate({ ...body, retries_per_request: 0 });
  assert.equal(answer.status, 500);
  assert.match(answer.body.reason, /redirects too often/);
});

test('a peer that asks for time gets it', async (t) => {
  const asked = [];
  const crooked = await Crooked.start(t, there, (kind) => {
    if (kind !== 'POST _bulk_get') return {};
    asked.push(performance.now());
    return asked.length === 1 ? { status: 503, headers: { 'retry-after': '2' } } : {};
  });
  const from = await filled();
  const to = here.fresh('patient');
  const { status } = await replicate({ source: `${crooked.url}/${name(from)}`, target: name(to), create_target: true });
  assert.equal(status, 200);
  assert.ok(asked[1] - asked[0] >= 2_000, `${asked}`);
  await same(from, to);
});

test('a SOCKS proxy is gone through', async (t) => {
  const hosts = [];
  const proxy = createServer(async (socket) => {
    socket.on('error', () => {});
    const read = async (length) => {
      for (;;) {
        const bytes = socket.read(length);
        if (bytes) return bytes;
        await once(socket, 'readable');
      }
    };
    assert.deepEqual([...(await read(3))], [5, 1, 2]);
    socket.write(Uint8Array.of(5, 2));
    const credentials = '\x01\x01p\x03q:r';
    const isRight = (await read(credentials.length)).toString('latin1') === credentials;
    socket.write(Uint8Array.of(1, isRight ? 0 : 1));
    if (!isRight) return socket.end();
    assert.deepEqual([...(await read(4))], [5, 1, 0, 3]);
    const [length] = await read(1);
    const host = (await read(length)).toString();
    const port = (await read(2)).readUInt16BE();
    hosts.push(host);
    const far = connect(port, '127.0.0.1', () => {
      socket.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
      far.pipe(socket).pipe(far);
    });
    return far.on('error', () => socket.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const from = await filled();
  const to = here.fresh('socks');
  const source = `http://couch.invalid:${new URL(there.url).port}/${name(from)}`;
  const through = (password) => `socks5://p:${password}@127.0.0.1:${proxy.address().port}`;
  const body = { source, target: name(to), create_target: true, retries_per_request: 0 };
  const refused = await replicate({ ...body, source_proxy: through('q%3Ax') });
  assert.match(refused.body.reason, /refused name and password/);
  const { status, body: said } = await replicate({ ...body, source_proxy: through('q%3Ar') });
  assert.equal(status, 200, JSON.stringify(said));
  await same(from, to);
  assert.ok(hosts.length > 0 && hosts.every((host) => host === 'couch.invalid'), `${hosts}`);
});

test('a continuous job tells from its beginning how much is to come', async (t) => {
  const isFeed = ({ url }) => url.includes('feed=continuous');
  const crooked = await Crooked.start(t, there, (_kind, _count, request) => (isFeed(request) ? { stall: true } : {}));
  const from = await filled();
  const body = { source: `${crooked.url}/${name(from)}`, target: name(here.fresh('slow')), create_target: true, continuous: true };
  await here.expect(202, 'POST', '/_replicate', { body });
  const pending = async () => {
    for (;;) {
      const { jobs } = await here.expect(200, 'GET', '/_scheduler/jobs');
      const job = jobs.find(({ source }) => source.startsWith(crooked.url));
      if (job?.info?.changes_pending != null) return job.info.changes_pending;
    }
  };
  assert.equal(await within(WAIT_MS, 'changes_pending', pending()), 21);
  await here.expect(200, 'POST', '/_replicate', { body: { ...body, cancel: true } });
});
