// Design documents at work under PouchDB and RxDB: replication filtered by functions, views and selectors, documents that
// a function refuses, and a user who is no administrator.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import PouchDB from 'pouchdb';
import { createRxDatabase } from 'rxdb';
import { getFetchWithCouchDBAuthorization, replicateCouchDB } from 'rxdb/plugins/replication-couchdb';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { filter, firstValueFrom } from 'rxjs';
import { eventually, within } from './deadline.mjs';
import { device, live, replicate, revisions } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const WAIT_MS = 20_000;
const basic = (name) => ({ authorization: `Basic ${btoa(`${name}:${name}`)}` });

before(async () => {
  const config = '/_node/_local/_config';
  await server.expect(200, 'PUT', `${config}/chttpd_auth/iterations`, { body: '"10"' });
  await server.expect(200, 'PUT', `${config}/admins/root`, { body: '"root"' });
  const ada = { name: 'ada', password: 'ada', roles: [], type: 'user' };
  await server.expect(201, 'PUT', '/_users/org.couchdb.user:ada', { headers: basic('root'), body: ada });
});

const design = {
  _id: '_design/app',
  filters: { of: 'function (doc, req) { return doc.type === req.query.type; }' },
  views: { notes: { map: "function (doc) { if (doc.type === 'note') emit(doc._id); }" } },
  validate_doc_update: `function (doc, old, user) {
    if (doc.type === 'forbidden') throw({ forbidden: 'not here, ' + user.name });
  }`,
};

/** A database of ada's, with the design document; as PouchDB sees it with her password. */
async function database(name) {
  const url = server.fresh(name);
  const headers = basic('root');
  await server.expect(201, 'PUT', url, { headers });
  await server.expect(200, 'PUT', `${url}/_security`, { headers, body: { members: { names: ['ada'] } } });
  await server.expect(201, 'PUT', `${url}/${design._id}`, { headers, body: design });
  return { url, db: new PouchDB(url, { auth: { username: 'ada', password: 'ada' }, skip_setup: true }) };
}

async function filled(name) {
  const { url, db } = await database(name);
  await db.bulkDocs(
    Array.from({ length: 300 }, (_, i) => ({
      _id: `doc-${String(i).padStart(3, '0')}`,
      type: i % 3 ? 'task' : 'note',
      i,
    })),
  );
  return { url, db };
}

const filters = {
  'a function and its parameters': { filter: 'app/of', query_params: { type: 'note' } },
  'a view': { filter: '_view', view: 'app/notes' },
  'a selector': { selector: { type: 'note' } },
};

for (const [what, options] of Object.entries(filters)) {
  test(`a pull filtered by ${what} brings what passes, once and live`, async (t) => {
    const { db } = await filled('filtered');
    const phone = device(t);
    const result = await replicate(db, phone, options);
    assert.equal(result.docs_written, 100);
    assert.ok([...(await revisions(phone)).keys()].every((id) => Number(id.slice(4)) % 3 === 0));

    const pull = phone.replicate.from(db, { live: true, retry: true, ...options });
    t.after(() => pull.cancel());
    await db.bulkDocs([
      { _id: 'late-task', type: 'task' },
      { _id: 'late-note', type: 'note' },
    ]);
    await eventually(WAIT_MS, 'the late note', [phone], async () => (await revisions(phone)).has('late-note'));
    assert.equal((await phone.info()).doc_count, 101);
  });
}

test('a refused document is told as denied, and the others arrive', async (t) => {
  const { db } = await database('denied');
  const phone = device(t);
  await phone.bulkDocs([{ _id: 'a' }, { _id: 'b', type: 'forbidden' }, { _id: 'c' }, { _id: '_design/mine' }]);
  const denied = [];
  const sync = live(phone, db);
  const both = new Promise((resolve) => {
    sync.on('denied', ({ doc }) => denied.push(doc) === 2 && resolve());
  });
  await eventually(WAIT_MS, 'what may arrive', [db], async () => (await db.info()).doc_count === 3);
  await within(WAIT_MS, 'two denied documents', both);
  const told = denied.map(({ id, name, message }) => [id ?? '', name, message].join(' ')).sort();
  assert.ok(told.some((text) => /not here, ada/.test(text)), told.join('\n'));
  assert.deepEqual([...(await revisions(db)).keys()], ['_design/app', 'a', 'c']);

  // The sync goes on.
  await phone.put({ _id: 'd' });
  await eventually(WAIT_MS, 'what comes later', [db], async () => (await db.info()).doc_count === 4);
  await sync.stopped();
});

test('RxDB replicates as a member', async (t) => {
  const { url, db } = await database('rxdb');
  const schema = {
    version: 0,
    primaryKey: 'id',
    type: 'object',
    properties: { id: { type: 'string', maxLength: 100 }, title: { type: 'string' } },
    required: ['id'],
  };
  const local = await createRxDatabase({ name: randomUUID(), storage: getRxStorageMemory(), multiInstance: false });
  t.after(() => local.close());
  const { notes } = await local.addCollections({ notes: { schema } });
  const replication = replicateCouchDB({
    replicationIdentifier: url,
    collection: notes,
    url: `${url}/`,
    fetch: getFetchWithCouchDBAuthorization('ada', 'ada'),
    live: true,
    waitForLeadership: false,
    pull: {},
    push: {},
  });
  const errors = [];
  replication.error$.subscribe((error) => errors.push(String(error)));
  await notes.insert({ id: 'here', title: 'from RxDB' });
  await db.put({ _id: 'there', title: 'from PouchDB' });
  await eventually(WAIT_MS, 'both on the server', [db], async () => (await revisions(db)).has('here'));
  const there = firstValueFrom(notes.findOne('there').$.pipe(filter((doc) => doc !== null)));
  assert.equal((await within(WAIT_MS, 'both in RxDB', there)).title, 'from PouchDB');
  await within(WAIT_MS, 'RxDB in sync', replication.awaitInSync());
  assert.deepEqual(errors, []);
  await replication.cancel();
});
