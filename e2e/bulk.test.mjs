// Much at once: large bulk writes and reads, large documents, and replicated writes repeated.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { device, leaves, remote, replicate, revisions } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const docs = (count) => Array.from({ length: count }, (_, i) => ({ _id: `doc-${String(i).padStart(6, '0')}`, i }));

test('10,000 documents in one request, listed, fetched and deleted in one each', async () => {
  const database = remote(server.fresh('bulk'));
  const rows = await database.bulkDocs(docs(10_000));
  assert.deepEqual(
    rows.map(({ id, ok }) => [id, ok]),
    docs(10_000).map(({ _id }) => [_id, true]),
  );
  const revs = new Map(rows.map(({ id, rev }) => [id, rev]));
  assert.deepEqual(await revisions(database), revs);
  const { results } = await database.bulkGet({ docs: rows.map(({ id, rev }) => ({ id, rev })), revs: true });
  assert.deepEqual(
    results.map((entry) => entry.docs[0].ok.i),
    docs(10_000).map(({ i }) => i),
  );
  const listed = await database.allDocs({ keys: rows.map(({ id }) => id), include_docs: true });
  assert.deepEqual(
    listed.rows.map(({ doc }) => doc.i),
    docs(10_000).map(({ i }) => i),
  );

  await database.bulkDocs(rows.map(({ id, rev }) => ({ _id: id, _rev: rev, _deleted: true })));
  const info = await database.info();
  assert.deepEqual([info.doc_count, info.doc_del_count], [0, 10_000]);
});

test('the same document twice in one request: the first wins', async () => {
  const database = remote(server.fresh('twice'));
  const rows = await database.bulkDocs([
    { _id: 'a', n: 1 },
    { _id: 'a', n: 2 },
  ]);
  assert.deepEqual(
    rows.map(({ ok, error, name }) => ok ?? name ?? error),
    [true, 'conflict'],
  );
  assert.equal((await database.get('a')).n, 1);
});

test('a replicated write repeated changes nothing, not even the sequence', async (t) => {
  const url = server.fresh('repeated');
  const phone = device(t);
  await phone.bulkDocs(docs(500));
  await replicate(phone, url);
  const { rows } = await phone.allDocs({ include_docs: true });
  const before = await server.expect(200, 'GET', url);
  const again = { docs: rows.map(({ doc }) => doc), new_edits: false };
  assert.deepEqual(await server.expect(201, 'POST', `${url}/_bulk_docs`, { body: again }), []);
  const { update_seq: since, doc_count: count } = await server.expect(200, 'GET', url);
  assert.deepEqual([since, count], [before.update_seq, 500]);
  assert.deepEqual(await leaves(remote(url)), await leaves(phone));
});

test('documents of a megabyte replicate whole', async (t) => {
  const url = server.fresh('large');
  const [phone, laptop] = [device(t), device(t)];
  const text = 'Grüße aus dem Süden. '.repeat(50_000);
  await phone.bulkDocs(Array.from({ length: 8 }, (_, i) => ({ _id: `large-${i}`, i, text })));
  await replicate(phone, url);
  await replicate(url, laptop);
  for (let i = 0; i < 8; i += 1) assert.equal((await laptop.get(`large-${i}`)).text === text, true, `large-${i}`);
});

test('a document of 500 revisions brings its whole history', async (t) => {
  const url = server.fresh('history');
  const [phone, laptop] = [device(t), device(t)];
  let rev;
  for (let n = 1; n <= 500; n += 1) ({ rev } = await phone.put({ _id: 'a', _rev: rev, n }));
  await replicate(phone, url);
  await replicate(url, laptop);
  const histories = [phone, remote(url), laptop].map(
    async (where) => (await where.get('a', { revs: true }))._revisions,
  );
  const [ours, served, theirs] = await Promise.all(histories);
  assert.equal(ours.start, 500);
  assert.deepEqual(served, ours);
  assert.deepEqual(theirs, ours);
});

test('a gzip’d request is read', async () => {
  const url = server.fresh('gzip');
  await server.expect(201, 'PUT', url);
  const body = gzipSync(JSON.stringify({ docs: docs(1000) }));
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const rows = await server.expect(201, 'POST', `${url}/_bulk_docs`, { headers, body });
  assert.equal(rows.length, 1000);
});
