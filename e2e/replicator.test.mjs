// The server's own replicator: one-shot and continuous, local and over HTTP, asked for by request and by document.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { within } from './deadline.mjs';
import { Server } from './server.mjs';

const WAIT_MS = 30_000;
const [here, there] = await Promise.all([Server.start(), Server.start()]);
after(() => Promise.all([here.remove(), there.remove()]));

const name = (url) => url.split('/').pop();
const replicate = (server, body, status = 200) => server.expect(status, 'POST', '/_replicate', { body });

/** A database with these documents. */
async function database(server, prefix, docs = []) {
  const url = server.fresh(prefix);
  await server.expect(201, 'PUT', url);
  if (docs.length > 0) await server.expect(201, 'POST', `${url}/_bulk_docs`, { body: { docs } });
  return url;
}

/** Every leaf of every document, with its body and its attachments: what two replicas have in common. */
async function content(server, url) {
  const { results } = await server.expect(200, 'GET', `${url}/_changes?style=all_docs`);
  const all = {};
  for (const { id, changes } of results) {
    for (const { rev } of changes) {
      const path = `${url}/${encodeURIComponent(id)}?rev=${rev}&revs=true&attachments=true`;
      all[`${id} ${rev}`] = await server.expect(200, 'GET', path);
    }
  }
  return Object.fromEntries(Object.entries(all).sort());
}

/** The first truthy answer of `check`, asked again after each change of the database. */
async function until(server, url, what, check) {
  const waiting = (async () => {
    for (;;) {
      const since = (await server.expect(200, 'GET', url)).update_seq;
      const answer = await check();
      if (answer) return answer;
      await server.expect(200, 'GET', `${url}/_changes?feed=longpoll&timeout=2000&since=${since}`);
    }
  })();
  return within(WAIT_MS, what, waiting);
}

const read = async (server, path) => {
  const { status, body } = await server.request('GET', path);
  return status === 200 ? body : undefined;
};

const documents = [
  { _id: 'plain', number: 1.0, text: 'ü' },
  { _id: 'a/b c+d', odd: true },
  { _id: '_design/d', views: {} },
  {
    _id: 'pictures',
    _attachments: {
      'a/b.txt': { content_type: 'text/plain', data: Buffer.from('hello world').toString('base64') },
      'b.bin': { content_type: 'image/png', data: randomBytes(300_000).toString('base64') },
      empty: { content_type: 'text/plain', data: '' },
    },
  },
];

/** A source with conflicts, tombstones and attachments. */
async function source(server) {
  const url = await database(server, 'source', documents);
  const conflict = (rev, value) => ({ _id: 'both', _rev: rev, value, _revisions: { start: 2, ids: [rev.slice(2), 'a'] } });
  await server.expect(201, 'POST', `${url}/_bulk_docs`, {
    body: { new_edits: false, docs: [conflict('2-b', 1), conflict('2-c', 2), conflict('2-d', 3)] },
  });
  await server.expect(200, 'DELETE', `${url}/both?rev=2-c`);
  const { rev } = await server.expect(201, 'PUT', `${url}/gone`, { body: { was: 'here' } });
  await server.expect(200, 'DELETE', `${url}/gone?rev=${rev}`);
  return url;
}

for (const [kind, from, to, by] of [
  ['within a server', here, here, here],
  ['by pulling', here, there, there],
  ['by pushing', here, there, here],
]) {
  test(`everything is copied ${kind}`, async () => {
    const origin = await source(from);
    const copy = to.fresh('copy');
    const local = (server, url) => (server === by ? name(url) : url);
    const body = { source: local(from, origin), target: local(to, copy), create_target: true };
    const first = await replicate(by, body);
    assert.equal(first.ok, true);
    assert.equal(first.replication_id_version, 4);
    const [session] = first.history;
    assert.equal(session.doc_write_failures, 0);
    assert.equal(session.docs_written, session.missing_found);
    assert.deepEqual(await content(to, copy), await content(from, origin));
    assert.equal((await replicate(by, body)).no_changes, true);

    const { _rev } = await from.expect(200, 'GET', `${origin}/pictures`);
    const bytes = randomBytes(1_000_000);
    const headers = { 'content-type': 'application/octet-stream' };
    await from.expect(201, 'PUT', `${origin}/pictures/new.bin?rev=${_rev}`, { headers, body: bytes });
    const second = await replicate(by, body);
    assert.equal(second.history[0].docs_written - session.docs_written, 1);
    assert.deepEqual(await content(to, copy), await content(from, origin));
  });
}

test('named documents alone are copied', async () => {
  const origin = await database(here, 'named', [{ _id: 'a' }, { _id: 'b' }, { _id: 'c' }]);
  const copy = await database(there, 'named');
  const body = { source: name(origin), target: copy, doc_ids: ['b', 'nobody'] };
  const answer = await replicate(here, body);
  assert.equal(answer.docs_written, 1);
  const { rows } = await there.expect(200, 'GET', `${copy}/_all_docs`);
  assert.deepEqual(rows.map(({ id }) => id), ['b']);
  assert.equal((await replicate(here, { ...body, doc_ids: ['nobody'] })).no_changes, true);
});

test('many documents are copied, and a large attachment', async () => {
  const docs = Array.from({ length: 3_000 }, (_, i) => ({ _id: `doc-${i}`, i, text: 'x'.repeat(500) }));
  const origin = await database(here, 'many', docs);
  const { rev } = await here.expect(201, 'PUT', `${origin}/large`, { body: {} });
  const bytes = randomBytes(24 << 20);
  const headers = { 'content-type': 'application/octet-stream' };
  await here.expect(201, 'PUT', `${origin}/large/file?rev=${rev}`, { headers, body: bytes });
  const copy = await database(there, 'many');
  const answer = await replicate(there, { source: origin, target: name(copy) });
  assert.equal(answer.history[0].docs_written, 3_001);
  assert.ok(bytes.equals(await there.expect(200, 'GET', `${copy}/large/file`)));
});

test('what can’t be done is told in CouchDB’s words', async () => {
  const copy = await database(here, 'target');
  const missing = await replicate(here, { source: 'nowhere', target: name(copy) }, 500);
  assert.deepEqual(missing, { error: 'db_not_found', reason: 'could not open nowhere' });
  const url = `${there.url}/nowhere`;
  const far = await replicate(here, { source: url, target: name(copy) }, 500);
  assert.deepEqual(far, { error: 'db_not_found', reason: `could not open ${url}/` });
  const hidden = url.replace('//', '//ada:secret@');
  const answer = await replicate(here, { source: hidden, target: name(copy) }, 500);
  assert.ok(!JSON.stringify(answer).includes('secret'), answer.reason);
  await replicate(here, { source: name(copy) }, 400);
  await replicate(here, { source: name(copy), target: 'x', continuous: 'yes' }, 400);
  await replicate(here, { cancel: true, replication_id: 'unknown' }, 404);
  await here.expect(415, 'POST', '/_replicate', { body: '{}' });
  await here.expect(405, 'GET', '/_replicate');
});

test('a continuous replication follows until it is cancelled', async () => {
  const origin = await database(here, 'live', [{ _id: 'first' }]);
  const copy = await database(there, 'live');
  const body = { source: name(origin), target: copy, continuous: true };
  const { _local_id: id } = await replicate(here, body, 202);
  assert.match(id, /^[0-9a-f]{32}\+continuous$/);
  await until(there, copy, 'the first document', () => read(there, `${copy}/first`));
  for (let i = 0; i < 20; i += 1) await here.expect(201, 'PUT', `${origin}/live-${i}`, { body: { i } });
  await until(there, copy, 'live edits', async () => (await there.expect(200, 'GET', copy)).doc_count === 21);

  // The documents are there before the answer that counts them is.
  const task = await until(there, copy, 'all to be counted', async () => {
    const tasks = await here.expect(200, 'GET', '/_active_tasks');
    return tasks.find(({ replication_id: of, docs_written: written }) => of === id && written === 21);
  });
  assert.equal(task.type, 'replication');
  const job = await here.expect(200, 'GET', `/_scheduler/jobs/${encodeURIComponent(id)}`);
  assert.equal(job.history[0].type, 'started');

  assert.equal((await replicate(here, { ...body, cancel: true }))._local_id, id);
  assert.equal((await here.request('GET', `/_scheduler/jobs/${encodeURIComponent(id)}`)).status, 404);
  await replicate(here, { ...body, cancel: true }, 404);
});

const put = (server, id, body) => server.expect(201, 'PUT', `/_replicator/${id}`, { body });
const state = (server, id) => read(server, `/_scheduler/docs/_replicator/${id}`);
const ended = (server, id, wanted) =>
  until(server, `${server.url}/_replicator`, `${id} to be ${wanted}`, async () => {
    const document = await read(server, `/_replicator/${id}`);
    return document?._replication_state === wanted && document;
  });

test('a document’s replication runs, and the document tells what became of it', async () => {
  const origin = await database(there, 'by-doc', [{ _id: 'a' }, { _id: 'b' }]);
  const copy = here.fresh('by-doc');
  const source = origin.replace('//', '//nobody:secret@');
  await put(here, 'once', { source, target: name(copy), create_target: true });
  const document = await ended(here, 'once', 'completed');
  assert.equal(document._replication_stats.docs_written, 2);
  assert.ok(document._replication_state_time);
  assert.equal((await here.expect(200, 'GET', copy)).doc_count, 2);
  const shown = await state(here, 'once');
  assert.equal(shown.state, 'completed');
  assert.ok(!JSON.stringify(shown).includes('secret'));

  // Asked for again, it goes on where it was.
  await there.expect(201, 'PUT', `${origin}/c`, { body: {} });
  const { _id, _rev, owner } = document;
  await put(here, 'once', { _id, _rev, owner, source, target: name(copy), create_target: true });
  const again = await ended(here, 'once', 'completed');
  assert.equal(again._replication_stats.docs_written, 3);
});

test('a document that makes no replication is refused, a source that comes later is found', async () => {
  const refused = await here.expect(403, 'PUT', '/_replicator/bad', { body: { source: 'a' } });
  assert.equal(refused.reason, 'Missing replicator database');
  await put(here, 'early', { source: 'not-there-yet', target: 'early-copy', create_target: true });
  const crashing = await within(WAIT_MS, 'it to crash', (async () => {
    for (;;) {
      const found = await state(here, 'early');
      if (found?.state === 'crashing') return found;
    }
  })());
  assert.match(crashing.info.error, /could not open not-there-yet/);
  assert.equal(crashing.error_count, 1);
  const { docs } = await here.expect(200, 'GET', '/_scheduler/docs?states=crashing');
  assert.ok(docs.some(({ doc_id: id }) => id === 'early'));
  const { _rev } = await here.expect(200, 'GET', '/_replicator/early');
  await here.expect(200, 'DELETE', `/_replicator/early?rev=${_rev}`);
});

test('a document that changes restarts its replication, one that goes ends it', async () => {
  const [origin, other] = [await database(here, 'one', [{ _id: 'one' }]), await database(here, 'two', [{ _id: 'two' }])];
  const copy = await database(here, 'switched');
  const body = (from) => ({ source: name(from), target: name(copy), continuous: true });
  const { rev } = await put(here, 'switch', body(origin));
  await until(here, copy, 'the first source', () => read(here, `${copy}/one`));
  const { rev: next } = await put(here, 'switch', { _rev: rev, ...body(other) });
  await until(here, copy, 'the second source', () => read(here, `${copy}/two`));
  await here.expect(200, 'DELETE', `/_replicator/switch?rev=${next}`);
  const gone = async () => {
    const tasks = await here.expect(200, 'GET', '/_active_tasks');
    return tasks.every(({ doc_id: id }) => id !== 'switch');
  };
  await within(WAIT_MS, 'the task to end', (async () => {
    while (!(await gone()));
  })());
  await here.expect(201, 'PUT', `${other}/late`, { body: {} });
  await replicate(here, { source: name(origin), target: name(copy) });
  assert.equal((await here.request('GET', `${copy}/late`)).status, 404);
});

test('replications of other databases of replications run, too', async () => {
  await here.expect(201, 'PUT', '/team%2F_replicator');
  const origin = await database(here, 'team', [{ _id: 'a' }]);
  const copy = here.fresh('team');
  const body = { source: name(origin), target: name(copy), create_target: true };
  await here.expect(201, 'PUT', '/team%2F_replicator/job', { body });
  await until(here, `${here.url}/team%2F_replicator`, 'it to complete', async () => {
    const document = await read(here, '/team%2F_replicator/job');
    return document._replication_state === 'completed';
  });
  const { docs } = await here.expect(200, 'GET', '/_scheduler/docs/team/_replicator');
  assert.deepEqual(docs.map(({ doc_id: id, state: is }) => [id, is]), [['job', 'completed']]);
});

for (const [how, end] of [
  ['a restart', (server) => server.stop()],
  ['a kill', (server) => server.kill()],
]) {
  test(`replications go on after ${how}`, async () => {
    const server = await Server.start();
    try {
      const origin = await database(there, 'on', [{ _id: 'before' }]);
      const copy = await database(server, 'on');
      await put(server, 'on', { source: origin, target: name(copy), continuous: true, checkpoint_interval: 100 });
      await until(server, copy, 'the first document', () => read(server, `${copy}/before`));
      await end(server);
      await there.expect(201, 'PUT', `${origin}/meanwhile`, { body: {} });
      await server.restart();
      await until(server, copy, 'what came meanwhile', () => read(server, `${copy}/meanwhile`));
      await there.expect(201, 'PUT', `${origin}/after`, { body: {} });
      await until(server, copy, 'what comes later', () => read(server, `${copy}/after`));
      assert.equal((await state(server, 'on')).state, 'running');
    } finally {
      await server.remove();
    }
  });
}
