// PouchDB 9 against the real binary: what an application does all day, over HTTP and from two devices.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { event, eventually, within } from './deadline.mjs';
import { device, leaf, leaves, live, remote, replicate, revisions } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

test('a document is created, read, updated, deleted and created again over HTTP', async () => {
  const database = remote(server.fresh('crud'));
  const created = await database.put({ _id: 'a', n: 1 });
  assert.match(created.rev, /^1-/);
  const updated = await database.put({ _id: 'a', _rev: created.rev, n: 2 });
  assert.match(updated.rev, /^2-/);
  assert.deepEqual(await database.get('a'), { _id: 'a', _rev: updated.rev, n: 2 });
  assert.equal((await database.get('a', { rev: created.rev })).n, 1);

  const removed = await database.remove('a', updated.rev);
  assert.match(removed.rev, /^3-/);
  await assert.rejects(database.get('a'), { status: 404, reason: 'deleted' });
  await assert.rejects(database.get('never'), { status: 404, reason: 'missing' });

  const again = await database.put({ _id: 'a', n: 4 });
  assert.match(again.rev, /^4-/);
  const { _revisions: history } = await database.get('a', { revs: true });
  assert.deepEqual(
    history.ids.map((id, at) => `${history.start - at}-${id}`),
    [again.rev, removed.rev, updated.rev, created.rev],
  );
});

test('a stale revision, a missing one and a revision that never was are conflicts, and change nothing', async () => {
  const database = remote(server.fresh('stale'));
  const first = await database.put({ _id: 'a', n: 1 });
  const second = await database.put({ _id: 'a', _rev: first.rev, n: 2 });
  await assert.rejects(database.put({ _id: 'a', _rev: first.rev, n: 3 }), { status: 409, name: 'conflict' });
  await assert.rejects(database.put({ _id: 'a', n: 3 }), { status: 409 });
  await assert.rejects(database.put({ _id: 'a', _rev: '2-0123456789abcdef0123456789abcdef' }), { status: 409 });
  await assert.rejects(database.remove('a', first.rev), { status: 409 });
  assert.deepEqual(await leaves(database), new Map([['a', leaf('live', second.rev)]]));
});

test('keys keep their order, and numbers, text and nesting their value', async () => {
  const database = remote(server.fresh('fidelity'));
  const doc = {
    _id: 'Ünï/cödé + 100%&?#',
    z: 1,
    a: [null, true, -0.5, 1e21, 9007199254740991, ''],
    m: { '': 'empty key', y: { x: [[[]]] }, 日本: '💧\u0000\u2028' },
  };
  const { rev } = await database.put(doc);
  const read = await database.get(doc._id);
  assert.deepEqual(read, { ...doc, _rev: rev });
  assert.deepEqual(
    Object.keys(read).filter((key) => !key.startsWith('_')),
    ['z', 'a', 'm'],
  );
});

test('allDocs answers keys, ranges, pages and deletions as PouchDB reads them', async () => {
  const database = remote(server.fresh('list'));
  await database.bulkDocs(['a', 'b', 'c', 'd'].map((_id) => ({ _id, n: _id })));
  await database.remove(await database.get('b'));
  const ids = async (options) => (await database.allDocs(options)).rows.map(({ id }) => id);
  assert.deepEqual(await ids({}), ['a', 'c', 'd']);
  assert.deepEqual(await ids({ startkey: 'b', endkey: 'c' }), ['c']);
  assert.deepEqual(await ids({ descending: true, limit: 1, skip: 1 }), ['c']);
  assert.deepEqual(await ids({ startkey: 'a', endkey: 'd', inclusive_end: false }), ['a', 'c']);

  const { rows } = await database.allDocs({ keys: ['d', 'b', 'nope'], include_docs: true });
  assert.equal(rows[0].doc.n, 'd');
  assert.equal(rows[1].value.deleted, true);
  assert.equal(rows[1].doc, null);
  assert.deepEqual(rows[2], { key: 'nope', error: 'not_found' });
});

test('local documents and design documents are stored; only the latter replicate', async (t) => {
  const url = server.fresh('kinds');
  const database = remote(url);
  const local = await database.put({ _id: '_local/here', n: 1 });
  await database.put({ _id: '_local/here', _rev: local.rev, n: 2 });
  assert.equal((await database.get('_local/here')).n, 2);
  await database.put({ _id: '_design/d', language: 'javascript', filters: {} });

  const phone = device(t);
  await replicate(url, phone);
  assert.deepEqual([...(await revisions(phone)).keys()], ['_design/d']);
  await assert.rejects(phone.get('_local/here'), { status: 404 });
});

test('two devices that sync live see each other’s creates, updates and deletes', async (t) => {
  const url = server.fresh('live');
  const [phone, laptop] = [device(t), device(t)];
  live(phone, url);
  live(laptop, url);

  const created = await phone.put({ _id: 'note', text: 'hello' });
  await eventually(20_000, 'the laptop has the note', [laptop], () => laptop.get('note').catch(() => false));
  const updated = await laptop.put({ _id: 'note', _rev: created.rev, text: 'hello, phone' });
  await eventually(
    20_000,
    'the phone has the update',
    [phone],
    async () => (await phone.get('note'))._rev === updated.rev,
  );
  const removed = await phone.remove('note', updated.rev);
  const gone = new Map([['note', leaf('deleted', removed.rev)]]);
  await eventually(20_000, 'the laptop has the deletion', [laptop], () =>
    laptop.get('note').then(
      () => false,
      () => true,
    ),
  );
  for (const database of [phone, laptop, remote(url)]) assert.deepEqual(await leaves(database), gone);
});

test('a device that was offline catches up both ways', async (t) => {
  const url = server.fresh('offline');
  const [phone, laptop] = [device(t), device(t)];
  const sync = live(phone, url);
  await phone.put({ _id: 'before' });
  await eventually(20_000, 'the server has it', [remote(url)], () =>
    remote(url)
      .get('before')
      .catch(() => false),
  );
  await sync.stopped();

  await phone.bulkDocs(Array.from({ length: 50 }, (_, i) => ({ _id: `phone-${i}` })));
  await laptop.bulkDocs(Array.from({ length: 50 }, (_, i) => ({ _id: `laptop-${i}` })));
  await replicate(laptop, url);
  live(phone, url);
  live(laptop, url);
  const all = async (database) => (await database.info()).doc_count === 101;
  await eventually(20_000, 'the phone has all 101', [phone], () => all(phone));
  await eventually(20_000, 'the laptop has all 101', [laptop], () => all(laptop));
  assert.deepEqual(await revisions(phone), await revisions(laptop));
  assert.deepEqual(await revisions(phone), await revisions(remote(url)));
});

test('a live changes feed over HTTP reports each write once, in order', async (t) => {
  const database = remote(server.fresh('feed'));
  await database.put({ _id: 'before' });
  const { update_seq: since } = await database.info();
  const feed = database.changes({ live: true, since, include_docs: true });
  t.after(() => feed.cancel());
  const seen = [];
  feed.on('change', ({ id, doc }) => seen.push(`${id}:${doc.n}`));
  const last = within(
    20_000,
    'the last change',
    event(feed, 'change', ({ id }) => id === 'last'),
  );
  for (let n = 0; n < 20; n += 1) await database.put({ _id: `doc-${n}`, n });
  await database.put({ _id: 'last', n: 20 });
  await last;
  assert.deepEqual(seen, [...Array.from({ length: 20 }, (_, n) => `doc-${n}:${n}`), 'last:20']);
});

test('a database is destroyed with all it held, and starts empty when it is made again', async () => {
  const url = server.fresh('destroyed');
  await remote(url).put({ _id: 'a' });
  await remote(url).put({ _id: '_local/a' });
  await remote(url).destroy();
  await server.expect(404, 'GET', url);
  const database = remote(url);
  assert.equal((await database.info()).doc_count, 0);
  await assert.rejects(database.get('_local/a'), { status: 404 });
});
