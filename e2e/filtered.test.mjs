// Replication of chosen documents by `_doc_ids`, once and live, and the filters of the changes feed beneath it.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { eventually } from './deadline.mjs';
import { Wire, device, remote, replicate, revisions } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

/** A database of 1,000 documents `doc-0000` … `doc-0999`. */
async function filled(name) {
  const url = server.fresh(name);
  const docs = Array.from({ length: 1000 }, (_, i) => ({ _id: `doc-${String(i).padStart(4, '0')}`, i }));
  const rows = await remote(url).bulkDocs(docs);
  return { url, revs: new Map(rows.map(({ id, rev }) => [id, rev])) };
}

const ids = ['doc-0003', 'doc-0500', 'doc-0999', 'Ünï/cödé+1'];

test('a pull by document ids brings those and no others, and then only their changes', async (t) => {
  const { url, revs } = await filled('ids');
  const wire = new Wire();
  const [phone, database] = [device(t), remote(url, wire)];
  await database.put({ _id: ids[3] });
  const first = await replicate(database, phone, { doc_ids: ids });
  assert.equal(first.docs_written, 4);
  assert.deepEqual([...(await revisions(phone)).keys()].sort(), [...ids].sort());

  await remote(url).put({ _id: 'doc-0004', _rev: revs.get('doc-0004'), i: -1 });
  await remote(url).put({ _id: 'doc-0500', _rev: revs.get('doc-0500'), i: -1 });
  await remote(url).remove('doc-0003', revs.get('doc-0003'));
  wire.clear();
  const second = await replicate(database, phone, { doc_ids: ids });
  assert.equal(second.docs_written, 2);
  assert.ok(
    wire.of('GET', '_local/').every(({ status }) => status === 200),
    'its checkpoint is found',
  );
  assert.equal((await phone.get('doc-0500')).i, -1);
  await assert.rejects(phone.get('doc-0003'), { status: 404, reason: 'deleted' });
});

test('a live pull by document ids passes over the rest', async (t) => {
  const { url, revs } = await filled('live-ids');
  const phone = device(t);
  const pull = phone.replicate.from(url, { live: true, retry: true, doc_ids: ids });
  t.after(() => pull.cancel());
  await eventually(20_000, 'the first three', [phone], async () => (await phone.info()).doc_count === 3);
  const other = remote(url);
  for (let i = 10; i < 30; i += 1) {
    const _id = `doc-00${i}`;
    await other.put({ _id, _rev: revs.get(_id), i: -1 });
  }
  await other.put({ _id: ids[3], i: -1 });
  await eventually(20_000, 'the fourth', [phone], async () => (await phone.info()).doc_count === 4);
  assert.deepEqual([...(await revisions(phone)).keys()].sort(), [...ids].sort());
});

test('a push by document ids sends those and no others', async (t) => {
  const url = server.fresh('push-ids');
  const phone = device(t);
  await phone.bulkDocs(Array.from({ length: 100 }, (_, i) => ({ _id: `doc-${i}` })));
  await replicate(phone, url, { doc_ids: ['doc-7', 'doc-42'] });
  assert.deepEqual([...(await revisions(remote(url))).keys()], ['doc-42', 'doc-7']);
});

test('two sets of ids have two checkpoints', async (t) => {
  const { url } = await filled('sets');
  const phone = device(t);
  assert.equal((await replicate(url, phone, { doc_ids: ['doc-0001'] })).docs_written, 1);
  assert.equal((await replicate(url, phone, { doc_ids: ['doc-0001', 'doc-0002'] })).docs_written, 1);
  assert.equal((await replicate(url, phone)).docs_written, 998);
});

test('the feed takes ids from the body and from the address, and filters design documents', async () => {
  const { url } = await filled('feed');
  await remote(url).put({ _id: '_design/d' });
  const found = async (method, query, body) => {
    const { results } = await server.expect(200, method, `${url}/_changes?${query}`, { body });
    return results.map(({ id }) => id).sort();
  };
  const wanted = ['doc-0001', 'doc-0002'];
  assert.deepEqual(await found('POST', 'filter=_doc_ids', { doc_ids: [...wanted, 'nope'] }), wanted);
  const inAddress = `filter=_doc_ids&doc_ids=${encodeURIComponent(JSON.stringify(wanted))}`;
  assert.deepEqual(await found('GET', inAddress), wanted);
  assert.deepEqual(await found('GET', 'filter=_design'), ['_design/d']);
});
