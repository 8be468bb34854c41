// Documents in channels, on the CouchDB listener: PouchDB and RxDB hold what their users may see, and nothing else.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import PouchDB from 'pouchdb';
import { createRxDatabase } from 'rxdb';
import { getFetchWithCouchDBAuthorization, replicateCouchDB } from 'rxdb/plugins/replication-couchdb';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { filter, firstValueFrom } from 'rxjs';
import { event, eventually, within } from './deadline.mjs';
import { device, live, replicate, revisions } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start({ gateway: true });
after(() => server.remove());

const WAIT_MS = 20_000;

/** The replications of RxDB's collections. */
const replications = new WeakMap();

/** What a document says of itself is what happens to it; who owns it writes it, and nobody else. */
const SYNC = `function (doc, oldDoc) {
  var owner = oldDoc && oldDoc.owner || doc.owner;
  if (owner) requireUser(owner);
  if (doc.locked) throw({forbidden: 'locked'});
  channel(doc.channels);
  access(doc.users, doc.grant);
}`;

const basic = (name) => ({ authorization: `Basic ${btoa(`${name}:${name}-secret`)}` });

/** A database with channels that nobody else uses, and its users, each with a channel of its own name. */
class Site {
  static async make(...names) {
    const site = new Site();
    site.url = server.fresh('access');
    site.name = site.url.split('/').pop();
    await server.expect(201, 'PUT', `${site.url}?access=channels`);
    const headers = { 'content-type': 'application/javascript' };
    const admin = `${server.admin}/${site.name}`;
    await server.expect(200, 'PUT', `${admin}/_config/sync`, { headers, body: SYNC });
    site.admin = new PouchDB(site.url);
    for (const name of names) await site.grant(name, [name]);
    return site;
  }

  /** Gives a user these channels, and takes all others from it. */
  async grant(name, channels) {
    const body = { password: `${name}-secret`, admin_channels: channels };
    const { status } = await server.request('PUT', `${server.admin}/${this.name}/_user/${name}`, { body });
    assert.ok(status === 200 || status === 201, `${status}`);
  }

  /** The database as a user sees it. */
  as(name) {
    return new PouchDB(this.url, { auth: { username: name, password: `${name}-secret` }, skip_setup: true });
  }

  put(id, channels, more = {}) {
    return this.admin.put({ _id: id, channels, ...more });
  }
}

const ids = async (database) => [...(await revisions(database)).keys()];

/** Waits until a device holds these documents, and no others. */
async function holds(database, expected) {
  const isThere = async () => String(await ids(database)) === String(expected);
  await eventually(WAIT_MS, `${expected} on the device`, [database], isThere);
}

test('each device holds the documents of its user, and no others', async (t) => {
  const site = await Site.make('ada', 'bob');
  await site.admin.bulkDocs([
    { _id: 'a1', channels: ['ada'] },
    { _id: 'b1', channels: ['bob'] },
    { _id: 'both', channels: ['ada', 'bob'] },
    { _id: 'nobody', channels: [] },
    { _id: 'public', channels: ['!'] },
  ]);
  const [phone, tablet] = [device(t), device(t)];
  for (const [database, name] of [[phone, 'ada'], [tablet, 'bob']]) live(database, site.as(name));
  await holds(phone, ['a1', 'both', 'public']);
  await holds(tablet, ['b1', 'both', 'public']);

  await phone.put({ _id: 'a2', owner: 'ada', channels: ['ada'] });
  await tablet.put({ _id: 'b2', owner: 'bob', channels: ['bob', 'ada'] });
  await holds(phone, ['a1', 'a2', 'b2', 'both', 'public']);
  await holds(tablet, ['b1', 'b2', 'both', 'public']);
  await holds(site.as('ada'), ['a1', 'a2', 'b2', 'both', 'public']);
});

test('a grant brings what was there before, by an administrator or by a document', async (t) => {
  const site = await Site.make('ada');
  const docs = Array.from({ length: 250 }, (_, i) => ({ _id: `old-${1000 + i}`, channels: ['old'] }));
  await site.admin.bulkDocs(docs);
  await site.put('far', ['far']);
  const phone = device(t);
  live(phone, site.as('ada'));
  await site.put('own', ['ada']);
  await holds(phone, ['own']);
  await site.grant('ada', ['ada', 'old']);
  await holds(phone, [...docs.map(({ _id }) => _id), 'own']);
  await site.put('granting', [], { users: 'ada', grant: 'far' });
  await holds(phone, ['far', ...docs.map(({ _id }) => _id), 'own']);
});

test('a loss stops a document, and leaves the device what it has', async (t) => {
  const site = await Site.make('ada');
  await site.grant('ada', ['ada', 'team']);
  const { rev } = await site.put('plan', ['team'], { n: 1 });
  const moving = await site.put('moving', ['ada'], { n: 1 });
  const phone = device(t);
  live(phone, site.as('ada'));
  await holds(phone, ['moving', 'plan']);
  await site.grant('ada', ['ada']);
  await site.put('plan', ['team'], { _rev: rev, n: 2 });
  const moved = await site.put('moving', ['team'], { _rev: moving.rev, n: 2 });
  await site.put('moving', ['team'], { _rev: moved.rev, n: 3 });
  await site.put('own', ['ada']);
  await holds(phone, ['moving', 'own', 'plan']);
  assert.equal((await phone.get('plan')).n, 1);
  assert.equal((await phone.get('moving')).n, 1);
  for (const id of ['plan', 'moving']) await assert.rejects(site.as('ada').get(id), { status: 403 });
});

test('a deletion reaches every device that had the document', async (t) => {
  const site = await Site.make('ada', 'bob');
  await site.put('shared', ['ada', 'bob']);
  await site.put('other', ['ada']);
  const [phone, tablet] = [device(t), device(t)];
  live(phone, site.as('ada'));
  live(tablet, site.as('bob'));
  await holds(phone, ['other', 'shared']);
  await holds(tablet, ['shared']);
  // A tombstone without channels, as PouchDB makes it.
  await tablet.remove(await tablet.get('shared'));
  await holds(phone, ['other']);
  await holds(tablet, []);
});

test('what a user may not write is refused for that document alone', async (t) => {
  const site = await Site.make('ada', 'bob');
  await site.put('of-bob', ['ada'], {});
  const rows = await site.as('ada').bulkDocs([
    { _id: 'first', channels: ['ada'] },
    { _id: 'locked', locked: true, channels: ['ada'] },
    { _id: 'foreign', owner: 'bob', channels: ['ada'] },
    { _id: 'last', channels: ['ada'] },
  ]);
  assert.deepEqual(rows.map(({ ok, name }) => ok ?? name), [true, 'forbidden', 'forbidden', true]);
  assert.equal(rows[1].reason ?? rows[1].message, 'locked');

  const phone = device(t);
  await phone.bulkDocs([
    { _id: 'm-good', channels: ['ada'] },
    { _id: 'n-locked', locked: true, channels: ['ada'] },
    { _id: 'o-good', channels: ['ada'] },
  ]);
  const sync = live(phone, site.as('ada'));
  const denied = await within(WAIT_MS, 'a denied document', event(sync, 'denied'));
  assert.equal(denied.doc.id, 'n-locked');
  assert.equal(denied.doc.name, 'forbidden');
  await phone.put({ _id: 'p-later', channels: ['ada'] });
  await holds(site.as('ada'), ['first', 'last', 'm-good', 'o-good', 'of-bob', 'p-later']);
});

test('attachments come with documents, and are nobody else’s', async (t) => {
  const site = await Site.make('ada', 'bob');
  const data = Buffer.alloc(300_000, 'image').toString('base64');
  const phone = device(t);
  await phone.put({ _id: 'photo', channels: ['ada'], _attachments: { 'p.png': { content_type: 'image/png', data } } });
  live(phone, site.as('ada'));
  const laptop = device(t);
  live(laptop, site.as('ada'));
  await holds(laptop, ['photo']);
  assert.equal((await laptop.getAttachment('photo', 'p.png')).toString('base64'), data);
  await assert.rejects(site.as('bob').getAttachment('photo', 'p.png'), { status: 403 });
  const { digest, length } = (await laptop.get('photo'))._attachments['p.png'];
  const _attachments = { 'p.png': { stub: true, digest, length, revpos: 1, content_type: 'image/png' } };
  await assert.rejects(site.as('bob').put({ _id: 'stolen', channels: ['bob'], _attachments }), { status: 412 });
});

test('a checkpoint is its user’s own', async (t) => {
  const site = await Site.make('ada', 'bob');
  await site.put('a', ['ada']);
  await site.put('b', ['bob']);
  const checkpoint = await site.as('ada').put({ _id: '_local/here', last_seq: 1 });
  await assert.rejects(site.as('bob').get('_local/here'), { status: 404 });
  await site.as('bob').put({ _id: '_local/here', last_seq: 2 });
  assert.equal((await site.as('ada').get('_local/here'))._rev, checkpoint.rev);

  // Two users, one after the other on one device: the second doesn't go on where the first was.
  const phone = device(t);
  await replicate(site.as('ada'), phone);
  assert.deepEqual(await ids(phone), ['a']);
  await replicate(site.as('bob'), phone);
  assert.deepEqual(await ids(phone), ['a', 'b']);
  const again = await replicate(site.as('ada'), phone);
  assert.equal(again.docs_read, 0);
});

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 100 },
    channels: { type: 'array', items: { type: 'string' } },
    owner: { type: 'string' },
    n: { type: 'number' },
  },
  required: ['id'],
};

/** An RxDB in sync with the database as a user sees it. */
async function notes(t, site, name) {
  const database = await createRxDatabase({ name: randomUUID(), storage: getRxStorageMemory(), multiInstance: false });
  t.after(() => database.close());
  const collections = await database.addCollections({ notes: { schema } });
  const replication = replicateCouchDB({
    replicationIdentifier: `notes-${name}-${site.name}`,
    collection: collections.notes,
    url: `${site.url}/`,
    fetch: getFetchWithCouchDBAuthorization(name, `${name}-secret`),
    live: true,
    retryTime: 50,
    waitForLeadership: false,
    pull: { batchSize: 60, heartbeat: 10_000 },
    push: { batchSize: 60 },
  });
  replication.errors = [];
  replication.error$.subscribe((error) => replication.errors.push(error));
  await within(WAIT_MS, 'RxDB in sync', replication.awaitInSync());
  assert.deepEqual(replication.errors.map(String), []);
  replications.set(collections.notes, replication);
  return collections.notes;
}

/**
 * Waits until an RxDB holds these documents, and no others. Its stream begins at `now`, after it has pulled: what comes
 * between, it finds when it pulls again.
 */
async function rxHolds(collection, expected) {
  const again = setInterval(() => replications.get(collection).reSync(), 1_000);
  const found = collection.find().$.pipe(filter((docs) => String(docs.map(({ id }) => id).sort()) === String(expected)));
  try {
    return await within(WAIT_MS, `${expected} in RxDB`, firstValueFrom(found));
  } finally {
    clearInterval(again);
  }
}

test('RxDB holds the documents of its user: grants, deletions and what it writes', async (t) => {
  const site = await Site.make('ada', 'bob');
  const docs = Array.from({ length: 150 }, (_, i) => ({ _id: `old-${1000 + i}`, channels: ['old'] }));
  await site.admin.bulkDocs([{ _id: 'a', channels: ['ada'] }, { _id: 'b', channels: ['bob'] }, ...docs]);
  const [phone, tablet] = [await notes(t, site, 'ada'), await notes(t, site, 'bob')];
  await rxHolds(phone, ['a']);
  await rxHolds(tablet, ['b']);
  const written = await phone.insert({ id: 'shared', channels: ['ada', 'bob'], owner: 'ada', n: 1 });
  await rxHolds(tablet, ['b', 'shared']);
  await site.grant('ada', ['ada', 'old']);
  await rxHolds(phone, ['a', ...docs.map(({ _id }) => _id), 'shared']);
  await written.getLatest().remove();
  await rxHolds(tablet, ['b']);
});
