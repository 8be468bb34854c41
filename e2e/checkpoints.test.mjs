// Replication starts where the last one stopped: after a pause, after kill -9, and only as far as the server remembers.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Wire, device, remote, replicate, revisions } from './device.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const docs = (count, prefix) => Array.from({ length: count }, (_, i) => ({ _id: `${prefix}-${i}`, i }));
const offered = (wire) => wire.of('POST', '_revs_diff').flatMap(({ json }) => Object.keys(json));
const fetched = (wire) => wire.of('POST', '_bulk_get').flatMap(({ json }) => json.docs.map(({ id }) => id));

/** Whether every checkpoint asked for was there, and at least one was. */
function found(wire) {
  const reads = wire.of('GET', '_local/');
  return reads.length > 0 && reads.every(({ status }) => status === 200);
}

test('a second push offers nothing, a third only what is new', async (t) => {
  const wire = new Wire();
  const [phone, database] = [device(t), remote(server.fresh('push'), wire)];
  await phone.bulkDocs(docs(300, 'old'));
  const first = await replicate(phone, database);
  assert.equal(first.docs_written, 300);
  assert.equal(offered(wire).length, 300);

  wire.clear();
  const second = await replicate(phone, database);
  assert.equal(second.docs_read, 0);
  assert.equal(second.last_seq, first.last_seq);
  assert.ok(found(wire), 'the checkpoint is found');
  assert.deepEqual(offered(wire), []);
  assert.equal(wire.of('POST', '_bulk_docs').length, 0);
  assert.equal(wire.of('PUT', '_local/').length, 0, 'an unchanged checkpoint is not written again');

  wire.clear();
  await phone.bulkDocs(docs(5, 'new'));
  await replicate(phone, database);
  assert.deepEqual(
    offered(wire).sort(),
    docs(5, 'new').map(({ _id }) => _id),
  );
});

test('a second pull starts at the server’s last sequence, a third reads only what is new', async (t) => {
  const wire = new Wire();
  const url = server.fresh('pull');
  const [phone, database] = [device(t), remote(url, wire)];
  await remote(url).bulkDocs(docs(300, 'old'));
  const first = await replicate(database, phone);
  assert.equal(first.docs_written, 300);
  assert.equal(fetched(wire).length, 300);

  wire.clear();
  const second = await replicate(database, phone);
  assert.equal(second.docs_read, 0);
  const [call, ...more] = wire.of('GET', '_changes');
  assert.equal(call.query.get('since'), String(first.last_seq));
  assert.deepEqual(more, []);
  const { results } = await server.expect(200, 'GET', `${url}/_changes?since=${call.query.get('since')}`);
  assert.deepEqual(results, []);

  wire.clear();
  await remote(url).bulkDocs(docs(5, 'new'));
  const third = await replicate(database, phone);
  assert.equal(third.docs_read, 5);
  assert.deepEqual(
    fetched(wire).sort(),
    docs(5, 'new').map(({ _id }) => _id),
  );
});

test('checkpoints and sequences outlive kill -9', async (t) => {
  const wire = new Wire();
  const url = server.fresh('killed');
  const [phone, database] = [device(t), remote(url, wire)];
  await phone.bulkDocs(docs(200, 'phone'));
  await replicate(phone, database);
  await remote(url).bulkDocs(docs(200, 'server'));
  const pulled = await replicate(database, phone);

  await server.kill();
  await server.restart();
  wire.clear();
  assert.equal((await replicate(database, phone)).docs_read, 0);
  assert.equal(wire.of('GET', '_changes')[0].query.get('since'), String(pulled.last_seq));
  const push = await replicate(phone, database);
  assert.equal(push.docs_written, 0);
  assert.ok(found(wire), 'the checkpoint is found');

  await remote(url).put({ _id: 'after' });
  assert.equal((await replicate(database, phone)).docs_read, 1);
});

test('a device cut off in the middle of a push goes on from its last checkpoint', async (t) => {
  const wire = new Wire();
  const url = server.fresh('cut');
  const [phone, database] = [device(t), remote(url, wire)];
  await phone.bulkDocs(docs(500, 'doc'));
  const push = phone.replicate.to(database, { batch_size: 50 });
  push.on('change', ({ docs_written: written }) => written >= 200 && wire.cut());
  await assert.rejects(push);
  const { doc_count: arrived } = await server.expect(200, 'GET', url);
  assert.ok(arrived >= 200 && arrived < 500, `${arrived} documents arrived`);

  wire.mend();
  wire.clear();
  await replicate(phone, database, { batch_size: 50 });
  assert.ok(offered(wire).length <= 350, `${offered(wire).length} of 500 were offered again`);
  assert.deepEqual(await revisions(remote(url)), await revisions(phone));
});

test('a database made anew under the same name is read from its beginning', async (t) => {
  const url = server.fresh('anew');
  const phone = device(t);
  await remote(url).bulkDocs(docs(30, 'old'));
  const { last_seq: old } = await replicate(url, phone);
  await server.expect(200, 'DELETE', url);
  await server.expect(201, 'PUT', url);
  await remote(url).bulkDocs(docs(40, 'new'));

  const { results } = await server.expect(200, 'GET', `${url}/_changes?since=${old}`);
  assert.equal(results.length, 40, 'a sequence of the former database must not hide what the new one holds');
  assert.equal((await replicate(url, phone)).docs_written, 40);
});
