// Conflicts made on both sides: every replica picks the same winner, keeps the losers, and forgets them when resolved.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { device, leaf, leaves, remote, replicate } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

/** Two devices and the server, with `doc` on all three. */
async function shared(t, name, doc) {
  const url = server.fresh(name);
  const [phone, laptop] = [device(t), device(t)];
  const { rev } = await phone.put(doc);
  await replicate(phone, url);
  await replicate(url, laptop);
  return { url, phone, laptop, rev };
}

/** Replicates until the three hold the same, and checks that they do. */
async function converge({ url, phone, laptop }) {
  await replicate(phone, url);
  await replicate(laptop, url);
  await replicate(url, phone);
  await replicate(url, laptop);
  const expected = await leaves(remote(url));
  assert.deepEqual(await leaves(phone), expected, 'phone and server differ');
  assert.deepEqual(await leaves(laptop), expected, 'laptop and server differ');
  return expected;
}

test('an edit on each side is a conflict with the same winner everywhere', async (t) => {
  const all = await shared(t, 'edit-edit', { _id: 'a', title: 'old' });
  const ours = await all.phone.put({ _id: 'a', _rev: all.rev, title: 'phone' });
  const theirs = await all.laptop.put({ _id: 'a', _rev: all.rev, title: 'laptop' });
  await converge(all);

  const [winner, loser] = [ours.rev, theirs.rev].sort().reverse();
  for (const database of [all.phone, all.laptop, remote(all.url)]) {
    const doc = await database.get('a', { conflicts: true });
    assert.equal(doc._rev, winner);
    assert.deepEqual(doc._conflicts, [loser]);
    assert.equal((await database.get('a', { rev: loser }))._rev, loser);
  }
  const open = await remote(all.url).get('a', { open_revs: 'all' });
  assert.deepEqual(open.map(({ ok }) => ok._rev).sort(), [winner, loser].sort());
});

test('a conflict is resolved on one device by merging and deleting the loser, and is gone everywhere', async (t) => {
  const all = await shared(t, 'resolve', { _id: 'a', phone: 0, laptop: 0 });
  await all.phone.put({ _id: 'a', _rev: all.rev, phone: 1, laptop: 0 });
  await all.laptop.put({ _id: 'a', _rev: all.rev, phone: 0, laptop: 1 });
  await converge(all);

  const doc = await all.laptop.get('a', { conflicts: true });
  const [loser] = doc._conflicts;
  const merged = { ...doc, phone: 1, laptop: 1 };
  delete merged._conflicts;
  const [kept, removed] = await all.laptop.bulkDocs([merged, { _id: 'a', _rev: loser, _deleted: true }]);
  const found = await converge(all);
  assert.deepEqual(found.get('a'), leaf('live', kept.rev, removed.rev));
  for (const database of [all.phone, all.laptop, remote(all.url)]) {
    const read = await database.get('a', { conflicts: true });
    assert.deepEqual(read, { _id: 'a', _rev: kept.rev, phone: 1, laptop: 1 });
  }
});

test('a conflict is resolved on the server over HTTP', async (t) => {
  const all = await shared(t, 'resolve-remote', { _id: 'a' });
  await all.phone.put({ _id: 'a', _rev: all.rev, by: 'phone' });
  await all.laptop.put({ _id: 'a', _rev: all.rev, by: 'laptop' });
  await converge(all);
  const database = remote(all.url);
  const { _conflicts: losers } = await database.get('a', { conflicts: true });
  for (const rev of losers) await database.remove('a', rev);
  await converge(all);
  assert.equal((await all.phone.get('a', { conflicts: true }))._conflicts, undefined);
});

test('an edit beats a deletion, however long the deleted branch is', async (t) => {
  const all = await shared(t, 'edit-delete', { _id: 'a' });
  const edited = await all.phone.put({ _id: 'a', _rev: all.rev, n: 1 });
  let { rev } = await all.laptop.put({ _id: 'a', _rev: all.rev, n: 2 });
  ({ rev } = await all.laptop.put({ _id: 'a', _rev: rev, n: 3 }));
  const removed = await all.laptop.remove('a', rev);
  const found = await converge(all);
  assert.deepEqual(found.get('a'), leaf('live', edited.rev, removed.rev));
});

test('a document deleted on both sides stays deleted, and can be written again', async (t) => {
  const all = await shared(t, 'delete-delete', { _id: 'a' });
  await all.phone.put({ _id: 'a', _rev: all.rev, _deleted: true, by: 'phone' });
  await all.laptop.put({ _id: 'a', _rev: all.rev, _deleted: true, by: 'laptop' });
  const found = await converge(all);
  assert.equal(found.get('a').deleted, true);
  assert.equal(found.get('a').revs.length, 2);

  const again = await remote(all.url).put({ _id: 'a', by: 'server' });
  assert.match(again.rev, /^3-/);
  await converge(all);
  assert.equal((await all.phone.get('a')).by, 'server');
});

test('the same edit made on both devices is one revision and no conflict', async (t) => {
  const all = await shared(t, 'same', { _id: 'a' });
  const ours = await all.phone.put({ _id: 'a', _rev: all.rev, n: 1 });
  const theirs = await all.laptop.put({ _id: 'a', _rev: all.rev, n: 1 });
  assert.equal(ours.rev, theirs.rev);
  const found = await converge(all);
  assert.deepEqual(found.get('a'), leaf('live', ours.rev));
});

test('the longer branch wins, and a document born on both sides has two roots', async (t) => {
  const url = server.fresh('roots');
  const [phone, laptop] = [device(t), device(t)];
  const short = await phone.put({ _id: 'a', by: 'phone' });
  const { rev } = await laptop.put({ _id: 'a', by: 'laptop' });
  const long = await laptop.put({ _id: 'a', _rev: rev, by: 'laptop', n: 2 });
  const found = await converge({ url, phone, laptop });
  assert.deepEqual(found.get('a'), leaf('live', long.rev, short.rev));
});

test('random edits, deletions and partial syncs of two devices end the same on all three', async (t) => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`SEED=${seed}`);
  const random = generator(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const url = server.fresh('random');
  const [phone, laptop] = [device(t), device(t)];
  const database = remote(url);
  await database.info();

  const edit = async (where) => {
    const id = `doc-${Math.floor(random() * 5)}`;
    const open = (await where.get(id, { open_revs: 'all' }).catch(() => [])).map(({ ok }) => ok);
    const parent = pick(open.filter((doc) => !doc._deleted));
    const fields = { _id: id, n: random(), ...(parent && { _rev: parent._rev, _deleted: random() < 0.25 }) };
    await where.put(fields);
  };
  for (let step = 0; step < 150; step += 1) {
    const where = pick([phone, laptop, database]);
    if (random() < 0.8) await edit(where);
    else if (where !== database) await (random() < 0.5 ? replicate(where, url) : replicate(url, where));
  }
  const found = await converge({ url, phone, laptop });
  for (const id of found.keys()) {
    const read = (where) => where.get(id, { conflicts: true, revs: true }).catch(({ reason }) => reason);
    const expected = await read(database);
    for (const where of [phone, laptop])
      assert.deepEqual(sorted(await read(where)), sorted(expected), `${id}, seed ${seed}`);
  }
});

/** `doc` with its conflicts in one order: PouchDB lists them in the tree's. */
function sorted(doc) {
  return doc._conflicts ? { ...doc, _conflicts: [...doc._conflicts].sort() } : doc;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
