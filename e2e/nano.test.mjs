// nano 11: each kind of request it makes, but for views, queries and sessions.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import nano from 'nano';
import { event, within } from './deadline.mjs';
import { read } from './multipart.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const WAIT_MS = 20_000;
const couch = nano(server.url);

/** A new database through nano, with documents `a` … `e`. */
async function filled(name) {
  const path = new URL(server.fresh(name)).pathname.slice(1);
  await couch.db.create(path);
  const database = couch.use(path);
  const rows = await database.bulk({ docs: ['a', 'b', 'c', 'd', 'e'].map((_id, n) => ({ _id, n })) });
  return { path, database, revs: Object.fromEntries(rows.map(({ id, rev }) => [id, rev])) };
}

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('server: info and uuids', async () => {
  const info = await couch.info();
  assert.equal(info.couchdb, 'Welcome');
  assert.match(info.version, /^3\./);
  const { uuids } = await couch.uuids(3);
  assert.equal(new Set(uuids).size, 3);
  for (const uuid of uuids) assert.match(uuid, /^[0-9a-f]{32}$/);
});

test('databases: create, list, list as a stream, get, compact, destroy', async () => {
  const name = 'nano_$()+-/slashed';
  assert.deepEqual(await couch.db.create(name), { ok: true });
  await assert.rejects(couch.db.create(name), { statusCode: 412, error: 'file_exists' });
  await assert.rejects(couch.db.create('Illegal'), { statusCode: 400, error: 'illegal_database_name' });
  assert.ok((await couch.db.list()).includes(name));
  assert.ok(JSON.parse(await collected(couch.db.listAsStream())).includes(name));
  const info = await couch.db.get(name);
  assert.deepEqual([info.db_name, info.doc_count, info.doc_del_count], [name, 0, 0]);
  assert.deepEqual(await couch.db.compact(name), { ok: true });
  assert.deepEqual(await couch.db.destroy(name), { ok: true });
  await assert.rejects(couch.db.get(name), { statusCode: 404, reason: 'Database does not exist.' });
});

test('documents: insert with and without an id, update, get, head, destroy', async () => {
  const { database } = await filled('documents');
  const posted = await database.insert({ n: 1 });
  assert.equal(posted.ok, true);
  assert.equal((await database.get(posted.id)).n, 1);
  const put = await database.insert({ n: 1 }, 'put/it + "here"');
  assert.equal(put.id, 'put/it + "here"');
  const updated = await database.insert({ _rev: put.rev, n: 2 }, put.id);
  const head = await database.head(put.id);
  assert.equal(head.etag, `"${updated.rev}"`);
  await assert.rejects(database.insert({ _rev: put.rev, n: 3 }, put.id), { statusCode: 409, error: 'conflict' });

  const doc = await database.get(put.id, { revs_info: true });
  assert.deepEqual(
    doc._revs_info.map(({ rev, status }) => [rev, status]),
    [
      [updated.rev, 'available'],
      [put.rev, 'available'],
    ],
  );
  assert.equal((await database.get(put.id, { rev: put.rev })).n, 1);
  const removed = await database.destroy(put.id, updated.rev);
  assert.match(removed.rev, /^3-/);
  await assert.rejects(database.get(put.id), { statusCode: 404, reason: 'deleted' });
  await assert.rejects(database.head('never'), { statusCode: 404 });
});

test('bulk: each document succeeds or fails alone', async () => {
  const { database, revs } = await filled('bulk');
  const docs = [
    { _id: 'a', _rev: revs.a, n: 9 },
    { _id: 'b', n: 9 },
    { _id: 'c', _rev: revs.c, _deleted: true },
    { _id: 'f' },
  ];
  const rows = await database.bulk({ docs });
  assert.deepEqual(
    rows.map(({ id, ok, error }) => [id, ok ?? error]),
    [
      ['a', true],
      ['b', 'conflict'],
      ['c', true],
      ['f', true],
    ],
  );
});

test('lists: list, as a stream, fetch, fetchRevs', async () => {
  const { database, revs } = await filled('lists');
  const { rows, total_rows: total } = await database.list({ startkey: 'b', endkey: 'c', include_docs: true });
  assert.deepEqual([total, rows.map(({ doc }) => doc.n)], [5, [1, 2]]);
  const streamed = JSON.parse(await collected(database.listAsStream()));
  assert.equal(streamed.rows.length, 5);
  const fetched = await database.fetch({ keys: ['e', 'nope', 'a'] });
  assert.deepEqual(
    fetched.rows.map(({ doc, error }) => doc?.n ?? error),
    [4, 'not_found', 0],
  );
  const { rows: found } = await database.fetchRevs({ keys: ['d'] });
  assert.deepEqual(found, [{ id: 'd', key: 'd', value: { rev: revs.d } }]);
});

test('attachments: insert, get, get as a stream, destroy', async () => {
  const { database, revs } = await filled('attachments');
  const bytes = Buffer.from([0, 1, 2, 253, 254, 255]);
  const first = await database.attachment.insert('a', 'file.bin', bytes, 'application/octet-stream', { rev: revs.a });
  assert.deepEqual(await database.attachment.get('a', 'file.bin'), bytes);
  assert.deepEqual(await collected(database.attachment.getAsStream('a', 'file.bin')), bytes);
  const text = await database.attachment.insert('new', 'text.txt', 'Grüße', 'text/plain');
  assert.match(text.rev, /^1-/);
  assert.equal(String(await database.attachment.get('new', 'text.txt')), 'Grüße');
  await database.attachment.destroy('a', 'file.bin', { rev: first.rev });
  await assert.rejects(database.attachment.get('a', 'file.bin'), { statusCode: 404 });
});

test('multipart: insert and get', async () => {
  const { database } = await filled('multipart');
  const files = [
    { name: 'one.bin', data: Buffer.from('first\r\n--'), content_type: 'application/octet-stream' },
    { name: 'two.txt', data: 'second, plain', content_type: 'text/plain' },
  ];
  const { rev } = await database.multipart.insert({ n: 7 }, files, 'm');
  assert.match(rev, /^1-/);
  for (const { name, data } of files) assert.equal(String(await database.attachment.get('m', name)), String(data));

  const body = Buffer.from(await database.multipart.get('m'));
  const boundary = /^(?:\r\n)?--([^\r\n]+)/.exec(body.toString('latin1'))[1];
  const [head, ...parts] = read(`multipart/related; boundary="${boundary}"`, body);
  const doc = JSON.parse(head.body);
  assert.equal(doc.n, 7);
  assert.deepEqual(
    Object.values(doc._attachments).map(({ follows }) => follows),
    [true, true],
  );
  assert.equal(parts.length, 2);
});

test('changes: once, as a stream, and a long poll', async () => {
  const { path, database } = await filled('changes');
  const { results, last_seq: since } = await database.changes({ include_docs: true });
  assert.deepEqual(
    results.map(({ doc }) => doc.n),
    [0, 1, 2, 3, 4],
  );
  const streamed = JSON.parse(await collected(database.changesAsStream({ limit: 2 })));
  assert.equal(streamed.results.length, 2);
  const waiting = couch.db.changes(path, { feed: 'longpoll', since });
  await database.insert({ n: 5 }, 'f');
  const polled = await within(WAIT_MS, 'the long poll', waiting);
  assert.deepEqual(
    polled.results.map(({ id }) => id),
    ['f'],
  );
});

test('changesReader: start, get and spool', async () => {
  const { database } = await filled('reader');
  const started = database.changesReader.start({ since: '0', includeDocs: true, batchSize: 2 });
  const seen = [];
  started.on('change', ({ id }) => seen.push(id));
  await within(
    WAIT_MS,
    'the fifth change',
    event(started, 'change', () => seen.length === 5),
  );
  const sixth = within(
    WAIT_MS,
    'the live change',
    event(started, 'change', ({ id }) => id === 'f'),
  );
  await database.insert({ n: 5 }, 'f');
  assert.equal((await sixth).doc.n, 5);
  assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e', 'f']);
  database.changesReader.stop();
  // A stopped reader waits for its aborted request, which it reports as an error, before it says that it ended.
  await within(WAIT_MS, 'the reader to end', new Promise((resolve) => started.on('error', resolve).on('end', resolve)));

  const got = couch.use(database.config.db).changesReader.get({ since: '0', batchSize: 4, timeout: 200 });
  const batches = [];
  got.on('batch', (batch) => batches.push(batch.length));
  await within(WAIT_MS, 'the end of get', once(got, 'end'));
  assert.deepEqual(batches, [4, 2]);

  const spooled = couch.use(database.config.db).changesReader.spool({ since: '0', batchSize: 100 });
  const [batch] = await within(WAIT_MS, 'the batch of spool', once(spooled, 'batch'));
  const [end] = await within(WAIT_MS, 'the end of spool', once(spooled, 'end'));
  assert.equal(batch.length, 6);
  // Of its rows only each hundredth has a sequence: it asks with `seq_interval`.
  const { last_seq: last } = await database.changes();
  assert.equal(end, last);
});

test('request: copy, revision difference, security and what else has no method of its own', async () => {
  const { path, database, revs } = await filled('request');
  const { rev } = await server.expect(201, 'COPY', `/${path}/a`, { headers: { destination: 'copy' } });
  assert.equal((await database.get('copy'))._rev, rev);
  const ask = { db: path, path: '_revs_diff', method: 'POST', body: { a: [revs.a, '2-missing'], nope: ['1-x'] } };
  assert.deepEqual(await couch.request(ask), {
    a: { missing: ['2-missing'], possible_ancestors: [revs.a] },
    nope: { missing: ['1-x'] },
  });
  const got = await couch.request({ db: path, path: '_bulk_get', method: 'POST', body: { docs: [{ id: 'b' }] } });
  assert.equal(got.results[0].docs[0].ok.n, 1);
  assert.equal(await couch.request({ db: path, path: '_revs_limit' }), 1000);
  const commit = await couch.request({ db: path, path: '_ensure_full_commit', method: 'POST', body: {} });
  assert.equal(commit.instance_start_time, (await database.info()).instance_start_time);
});

test('errors carry the status and CouchDB’s words', async () => {
  const { database } = await filled('errors');
  await assert.rejects(database.get('nope'), { statusCode: 404, error: 'not_found', reason: 'missing' });
  await assert.rejects(database.insert({ _unknown: 1 }, 'x'), { statusCode: 400, error: 'doc_validation' });
  await assert.rejects(database.insert({}, '_bad'), { statusCode: 400, error: 'illegal_docid' });
  await assert.rejects(couch.use('nope').insert({}), { statusCode: 404, reason: 'Database does not exist.' });
});
