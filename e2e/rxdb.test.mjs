// RxDB 17 with its CouchDB replication: push, pull, delete and conflict, live, and through a restart of the server.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { createRxDatabase } from 'rxdb';
import { replicateCouchDB } from 'rxdb/plugins/replication-couchdb';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { filter, firstValueFrom } from 'rxjs';
import { within } from './deadline.mjs';
import { remote } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const WAIT_MS = 20_000;

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 100 },
    title: { type: 'string' },
    tags: { type: 'array', items: { type: 'string' } },
    n: { type: 'number' },
  },
  required: ['id'],
};

/** The default of RxDB but for the tags: a conflict keeps those of both sides. */
const merging = {
  isEqual: (a, b) =>
    ['title', 'n', '_deleted'].every((field) => a[field] === b[field]) && String(a.tags) === String(b.tags),
  resolve: ({ realMasterState: theirs, newDocumentState: ours }) => ({
    ...theirs,
    tags: [...new Set([...(theirs.tags ?? []), ...(ours.tags ?? [])])].sort(),
  }),
};

/** An RxDB of one collection, in memory; closed when the test `t` ends. */
async function device(t, conflictHandler) {
  const database = await createRxDatabase({ name: randomUUID(), storage: getRxStorageMemory(), multiInstance: false });
  t.after(() => database.close());
  const { notes } = await database.addCollections({ notes: { schema, ...(conflictHandler && { conflictHandler }) } });
  return notes;
}

/** Starts the replication of `notes` with `url`; any error it reports is kept in `errors`. */
function replicate(notes, url, options = {}) {
  const replication = replicateCouchDB({
    replicationIdentifier: `notes-${url}`,
    collection: notes,
    url: `${url}/`,
    live: true,
    retryTime: 50,
    waitForLeadership: false,
    pull: { batchSize: 60, heartbeat: 10_000 },
    push: { batchSize: 60 },
    ...options,
  });
  replication.errors = [];
  replication.error$.subscribe((error) => replication.errors.push(error));
  return replication;
}

/** Replicates until both directions are done, and fails on any error. */
async function synced(replication) {
  await within(WAIT_MS, 'RxDB in sync', replication.awaitInSync());
  assert.deepEqual(replication.errors.map(String), []);
  return replication;
}

/** The note `id` once it `accepts` it (null: not there or deleted). */
function note(notes, id, accepts) {
  const found = firstValueFrom(notes.findOne(id).$.pipe(filter((doc) => accepts(doc?.toJSON() ?? null))));
  return within(WAIT_MS, `note ${id}`, found);
}

test('what one device writes is pushed, and pulled by the other', async (t) => {
  const url = server.fresh('first');
  await server.expect(201, 'PUT', url);
  const [phone, laptop] = [await device(t), await device(t)];
  const docs = Array.from({ length: 250 }, (_, i) => ({ id: `note-${i}`, title: `Note ${i}`, tags: ['a', 'b'], n: i }));
  await phone.bulkInsert(docs);
  await synced(replicate(phone, url));
  await synced(replicate(laptop, url));
  assert.equal(await laptop.count().exec(), 250);
  assert.deepEqual((await laptop.findOne('note-7').exec()).toJSON(), docs[7]);
  const { n } = await remote(url).get('note-7');
  assert.equal(n, 7);
});

test('inserts, changes and deletions travel live both ways', async (t) => {
  const url = server.fresh('live');
  await server.expect(201, 'PUT', url);
  const [phone, laptop] = [await device(t), await device(t)];
  const replications = [await synced(replicate(phone, url)), await synced(replicate(laptop, url))];

  const doc = await phone.insert({ id: 'a', title: 'one', n: 1 });
  const there = await note(laptop, 'a', (found) => found?.n === 1);
  await there.patch({ n: 2 });
  await note(phone, 'a', (found) => found?.n === 2);
  await doc.getLatest().remove();
  await note(laptop, 'a', (found) => found === null);
  for (const replication of replications) await synced(replication);

  await assert.rejects(remote(url).get('a'), { status: 404, reason: 'deleted' });
  const again = await phone.insert({ id: 'a', title: 'again', n: 4 });
  assert.equal(again.n, 4);
  await note(laptop, 'a', (found) => found?.n === 4);
});

test('a document written through PouchDB arrives in RxDB, and the other way round', async (t) => {
  const url = server.fresh('mixed');
  const database = remote(url);
  await database.put({ _id: 'before', title: 'before', n: 0 });
  const notes = await device(t);
  const replication = await synced(replicate(notes, url));
  assert.equal((await notes.findOne('before').exec()).title, 'before');
  const { rev } = await database.put({ _id: 'during', title: 'during', n: 1 });
  const doc = await note(notes, 'during', (found) => found?.n === 1);
  await doc.patch({ n: 2 });
  await synced(replication);
  const read = await database.get('during', { revs: true });
  assert.equal(read.n, 2);
  assert.equal(`1-${read._revisions.ids[1]}`, rev, 'the update extends the revision it was made on');
});

test('an edit on each side is a conflict; RxDB resolves it and the server keeps one branch', async (t) => {
  const url = server.fresh('conflict');
  await server.expect(201, 'PUT', url);
  const [phone, laptop] = [await device(t, merging), await device(t, merging)];
  await phone.insert({ id: 'a', title: 'shared', tags: [], n: 0 });
  const first = [await synced(replicate(phone, url)), await synced(replicate(laptop, url))];
  for (const replication of first) await replication.cancel();

  await (await phone.findOne('a').exec()).patch({ tags: ['phone'] });
  await (await laptop.findOne('a').exec()).patch({ tags: ['laptop'] });
  const again = [await synced(replicate(phone, url)), await synced(replicate(laptop, url))];
  const both = (found) => String(found?.tags) === 'laptop,phone';
  await note(laptop, 'a', both);
  await note(phone, 'a', both);
  for (const replication of again) await synced(replication);

  const doc = await remote(url).get('a', { conflicts: true });
  assert.deepEqual(doc.tags, ['laptop', 'phone']);
  assert.equal(doc._conflicts, undefined);
});

test('a change against a deletion is a conflict that the server’s state wins by default', async (t) => {
  const url = server.fresh('deleted');
  await server.expect(201, 'PUT', url);
  const [phone, laptop] = [await device(t), await device(t)];
  await phone.insert({ id: 'a', n: 0 });
  const first = [await synced(replicate(phone, url)), await synced(replicate(laptop, url))];
  for (const replication of first) await replication.cancel();

  await (await phone.findOne('a').exec()).patch({ n: 1 });
  await (await laptop.findOne('a').exec()).remove();
  await synced(replicate(phone, url));
  await synced(replicate(laptop, url));
  await note(laptop, 'a', (found) => found?.n === 1);
  assert.equal((await remote(url).get('a')).n, 1);
});

test('a second replication pulls from its checkpoint', async (t) => {
  const url = server.fresh('checkpoint');
  await remote(url).bulkDocs(Array.from({ length: 100 }, (_, i) => ({ _id: `note-${i}`, n: i })));
  const notes = await device(t);
  const first = await synced(replicate(notes, url, { live: false }));
  await first.cancel();
  const asked = [];
  const recording = (address, options) => {
    asked.push(new URL(address));
    return fetch(address, options);
  };
  await synced(replicate(notes, url, { live: false, fetch: recording }));
  const since = asked
    .filter(({ pathname }) => pathname.endsWith('/_changes'))
    .map(({ searchParams }) => searchParams.get('since'));
  assert.ok(since.length > 0 && !since.includes('0'), `since ${since}`);
  for (const seq of since) {
    const { results } = await server.expect(200, 'GET', `${url}/_changes?since=${seq}`);
    assert.deepEqual(results, []);
  }
});

test('live replication goes on after kill -9 and a restart of the server', async (t) => {
  const url = server.fresh('killed');
  await server.expect(201, 'PUT', url);
  const [phone, laptop] = [await device(t), await device(t)];
  await synced(replicate(phone, url));
  await synced(replicate(laptop, url));
  // One live change first: until then RxDB's longpoll asks from `now`, and a retry would pass over what came meanwhile.
  await phone.insert({ id: 'before', n: 0 });
  await note(laptop, 'before', (found) => found !== null);
  await laptop.insert({ id: 'before-too', n: 0 });
  await note(phone, 'before-too', (found) => found !== null);

  await server.kill();
  await phone.insert({ id: 'from-phone', n: 1 });
  await laptop.insert({ id: 'from-laptop', n: 1 });
  await server.restart();
  await note(laptop, 'from-phone', (found) => found !== null);
  await note(phone, 'from-laptop', (found) => found !== null);
  const { rows } = await remote(url).allDocs();
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['before', 'before-too', 'from-laptop', 'from-phone'],
  );
  for (const { value } of rows) assert.match(value.rev, /^1-/, 'nothing was written twice');
});
