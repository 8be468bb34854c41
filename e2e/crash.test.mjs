// kill -9 in the middle of live sync: nothing acknowledged is lost, nothing comes twice, and everyone ends the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { event, eventually, within } from './deadline.mjs';
import { Wire, device, live, remote, replicate } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const EACH = 10_000;
const DELETED = (2 * EACH) / 20; // One of twenty is edited, one deleted, before they sync.
const BATCH = 500;
const SYNC_MS = 90_000;

/** `count` documents of one device, and what became of them: id → revision, or null once deleted. */
async function write(database, owner, count) {
  const docs = Array.from({ length: count }, (_, i) => ({
    _id: `${owner}-${String(i).padStart(5, '0')}`,
    owner,
    i,
    text: `document ${i} of the ${owner}, with some words to carry`,
  }));
  const rows = await database.bulkDocs(docs);
  const edits = rows.flatMap(({ id, rev }, i) => {
    if (i % 20 === 0) return [{ _id: id, _rev: rev, owner, i, edited: true }];
    if (i % 20 === 1) return [{ _id: id, _rev: rev, _deleted: true }];
    return [];
  });
  const written = new Map(rows.map(({ id, rev }) => [id, rev]));
  for (const { id, rev } of await database.bulkDocs(edits)) written.set(id, rev);
  return written;
}

/** The one revision of each document in the feed; a second leaf, or a document that comes twice, fails. */
async function single(database) {
  const { results } = await database.changes({ style: 'all_docs', since: 0 });
  const found = new Map();
  for (const { id, changes } of results) {
    assert.equal(changes.length, 1, `${id} has ${changes.length} leaves in ${database.name}`);
    assert.equal(found.has(id), false, `${id} comes twice in ${database.name}`);
    found.set(id, changes[0].rev);
  }
  return found;
}

/** Names the first differences of two maps of revisions, not all 20,000. */
function same(actual, expected, what) {
  const wrong = [...expected]
    .filter(([id, rev]) => actual.get(id) !== rev)
    .map(([id, rev]) => [id, rev, actual.get(id)]);
  const extra = [...actual].filter(([id]) => !expected.has(id));
  assert.deepEqual(
    { wrong: wrong.slice(0, 5), extra: extra.slice(0, 5) },
    { wrong: [], extra: [] },
    `${what}: ${wrong.length} of ${expected.size} lost or different, ${extra.length} too many`,
  );
}

const isDone = ({ status }) => status === 201;

/** What the server acknowledged over `wire`: id → revision of each document in a `_bulk_docs` answered with 201. */
function acknowledged(wire) {
  const docs = wire
    .of('POST', '_bulk_docs')
    .filter(isDone)
    .flatMap(({ json }) => json.docs);
  return new Map(docs.map(({ _id, _rev }) => [_id, _rev]));
}

/** The acknowledged checkpoints: id → the sequences it may have, that of the last answered write or of a later one. */
function checkpoints(wire) {
  const allowed = new Map();
  for (const call of wire.of('PUT', '_local/')) {
    const { _id: id, last_seq: seq } = call.json;
    if (isDone(call)) allowed.set(id, [seq]);
    else allowed.get(id)?.push(seq);
  }
  return allowed;
}

/** The requests of the devices that the server took and never answered, by what they were for. */
function broken(wires) {
  const found = wires.flatMap(({ calls }) => calls.filter(({ isBroken }) => isBroken));
  const kinds = found.map(({ method, path }) => `${method} ${path.split('/')[0]}`);
  return [...new Set(kinds)].map((kind) => `${kinds.filter((each) => each === kind).length} ${kind}`);
}

/**
 * kill -9 by a thread that writes as well, just as a device sends a batch. Gives what the thread sent, and what became
 * of it; the wires are cut then.
 */
async function killUnderLoad(url, wires, name) {
  const load = new Worker(new URL('load.mjs', import.meta.url), { workerData: { url, pid: server.pid, name } });
  await within(SYNC_MS, 'half an upload and some writes', once(load, 'message'));
  for (const wire of wires) wire.brace();
  await within(SYNC_MS, 'a batch of a device', Promise.race(wires.map((wire) => wire.next('POST', '_bulk_docs'))));
  const told = once(load, 'message');
  load.postMessage('now');
  await server.killed();
  for (const wire of wires) wire.cut();
  const [{ upload, bulk, singles }] = await within(SYNC_MS, 'the load to end', told);
  assert.equal(upload, undefined, 'a server killed in an upload does not answer it');
  const each = bulk.docs.map((doc) => ({ doc, status: bulk.status }));
  return [...singles, ...each];
}

/** After the restart: all that was acknowledged is there, what was under way is there whole or not at all. */
async function check(url, wires, sent) {
  const found = await single(remote(url));
  const answered = sent.filter(({ status }) => status !== undefined);
  for (const { doc, status } of answered) assert.equal(status, 201, doc._id);
  const acks = [new Map(answered.map(({ doc }) => [doc._id, doc._rev])), ...wires.map(acknowledged)];
  for (const acked of acks) {
    const missing = [...acked].filter(([id, rev]) => found.get(id) !== rev);
    assert.deepEqual(missing.slice(0, 5), [], `${missing.length} acknowledged revisions are lost`);
  }
  const { rows } = await remote(url).allDocs({ include_docs: true, keys: sent.map(({ doc }) => doc._id) });
  for (const [i, { error, doc }] of rows.entries()) {
    if (error !== 'not_found') assert.deepEqual(doc, sent[i].doc);
  }
  for (const wire of wires) {
    for (const [id, allowed] of checkpoints(wire)) {
      const { last_seq: seq } = await server.expect(200, 'GET', `${url}/${id}`);
      assert.ok(allowed.includes(seq), `checkpoint ${id} is ${seq}, not ${allowed}`);
    }
  }
  return found;
}

test('20,000 documents sync live both ways through two kills: none lost, none twice', async (t) => {
  const url = server.fresh('sync');
  const wires = [new Wire(), new Wire()];
  const [phone, laptop] = [device(t), device(t)];
  const expected = new Map([...(await write(phone, 'phone', EACH)), ...(await write(laptop, 'laptop', EACH))]);
  assert.equal(expected.size, 2 * EACH);
  await server.expect(201, 'PUT', url);

  const pushed = (count) => () => acknowledged(wires[0]).size + acknowledged(wires[1]).size >= count;
  const syncs = [
    live(phone, remote(url, wires[0]), { batch_size: BATCH }),
    live(laptop, remote(url, wires[1]), { batch_size: BATCH }),
  ];
  for (const share of [0.25, 0.6]) {
    const reached = Promise.race(syncs.map((sync) => event(sync, 'change', pushed(share * 2 * EACH))));
    await within(SYNC_MS, `${share * 100} % of the documents pushed`, reached);
    const sent = await killUnderLoad(url, wires, `load${share * 100}`);
    await server.restart();
    const found = await check(url, wires, sent);
    const there = [...found.keys()].filter((id) => expected.has(id)).length;
    assert.ok(there < expected.size, 'the kill came in the middle');
    await server.expect(404, 'GET', `${url}/load${share * 100}-upload`);

    const open = sent.filter(({ status }) => status === undefined).length;
    const devices = broken(wires).join(', ');
    t.diagnostic(`killed at ${found.size} documents; unanswered: ${open} of the load, ${devices} of the devices`);
    assert.ok(open > 0, 'the kill came while documents were being written');
    // A client that got no answer sends the same again.
    const again = { docs: sent.map(({ doc }) => doc), new_edits: false };
    assert.deepEqual(await server.expect(201, 'POST', `${url}/_bulk_docs`, { body: again }), []);
    for (const { doc } of sent) expected.set(doc._id, doc._rev);
    for (const wire of wires) wire.mend();
  }

  const kept = expected.size - DELETED;
  const full = async (database) =>
    (await database.info()).doc_count === kept && (await count(database)) === expected.size;
  await eventually(SYNC_MS, 'all documents on the phone', [phone], () => full(phone));
  await eventually(SYNC_MS, 'all documents on the laptop', [laptop], () => full(laptop));
  for (const sync of syncs) await sync.stopped();
  for (const database of [phone, laptop, remote(url)]) same(await single(database), expected, database.name);

  const info = await server.expect(200, 'GET', url);
  assert.deepEqual([info.doc_count, info.doc_del_count], [kept, DELETED]);
  for (const database of [phone, laptop]) {
    const last = await replicate(database, url);
    assert.equal(last.docs_written, 0, 'a last push has nothing to send');
  }
});

test('a longpoll and a continuous feed end with the server, and go on from their last sequence', async () => {
  const url = server.fresh('feeds');
  const database = remote(url);
  await database.put({ _id: 'a' });
  const { last_seq: since } = await server.expect(200, 'GET', `${url}/_changes`);
  const open = ['longpoll', 'continuous'].map(async (feed) => {
    const response = await fetch(`${url}/_changes?feed=${feed}&since=${since}&heartbeat=1000`);
    return response.text();
  });
  const ends = Promise.allSettled(open);
  await database.put({ _id: '_local/a' });
  await server.kill();
  for (const { reason, value } of await within(10_000, 'both feeds to end', ends)) {
    assert.ok(reason || !value.includes('last_seq'), 'a killed server finishes no answer');
  }
  await server.restart();
  const { rev } = await database.put({ _id: 'b' });
  const { results } = await server.expect(200, 'GET', `${url}/_changes?feed=longpoll&since=${since}`);
  assert.deepEqual(
    results.map(({ id, changes }) => [id, changes[0].rev]),
    [['b', rev]],
  );
});

test('SIGTERM ends open feeds, answers what was asked, and the server exits with 0', async () => {
  const url = server.fresh('term');
  await server.expect(201, 'PUT', url);
  const response = await fetch(`${url}/_changes?feed=continuous&heartbeat=1000`);
  const rest = response.text().catch(() => 'cut');
  assert.equal(await server.stop(), 0);
  await within(5_000, 'the feed to end', rest);
  await server.restart();
  await server.expect(200, 'GET', url);
});

test('a second server on the same folder refuses to start', async () => {
  await assert.rejects(Server.start({ folder: server.folder }), /the server ended with [1-9]/);
  await server.expect(200, 'GET', '/');
});

/** How many documents `database` knows, deleted ones too. */
async function count(database) {
  const { results } = await database.changes({ since: 0 });
  return results.length;
}
