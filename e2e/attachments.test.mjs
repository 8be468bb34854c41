// Attachments both ways: inline, as stubs, as multipart and alone, from nothing to 10 MB, digests compared.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { eventually } from './deadline.mjs';
import { Wire, device, live, remote, replicate } from './device.mjs';
import { read, related, write } from './multipart.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

const BINARY = 'application/octet-stream';
const TEN_MB = 10 * 1024 * 1024;
const digest = (bytes) => `md5-${createHash('md5').update(bytes).digest('base64')}`;
const inline = (type, bytes) => ({ content_type: type, data: Buffer.from(bytes).toString('base64') });

/** Compares by digest: a failure must not print megabytes. */
function same(actual, expected, what) {
  assert.equal(actual.length, expected.length, `length of ${what}`);
  assert.equal(digest(actual), digest(expected), `digest of ${what}`);
}

const samples = {
  'empty.bin': [BINARY, Buffer.alloc(0)],
  'byte.bin': [BINARY, Buffer.from([0])],
  'random.bin': [BINARY, randomBytes(70_000)],
  'text.txt': ['text/plain', Buffer.from('Grüße, 世界. '.repeat(5000))],
  'data.json': ['application/json', Buffer.from(JSON.stringify({ list: Array.from({ length: 2000 }, (_, i) => i) }))],
  'folder/ünï cödé+1.png': ['image/png', randomBytes(999)],
  'boundary.bin': [BINARY, Buffer.from('\r\n--boundary\r\n\r\n--\r\n'.repeat(50))],
};

test('attachments written inline on one device arrive on the other byte for byte', async (t) => {
  const url = server.fresh('inline');
  const [phone, laptop] = [device(t), device(t)];
  const _attachments = Object.fromEntries(
    Object.entries(samples).map(([name, [type, bytes]]) => [name, inline(type, bytes)]),
  );
  await phone.put({ _id: 'a', _attachments });
  await replicate(phone, url);
  await replicate(url, laptop);

  for (const [name, [type, bytes]] of Object.entries(samples)) {
    same(await remote(url).getAttachment('a', name), bytes, `${name} on the server`);
    same(await laptop.getAttachment('a', name), bytes, `${name} on the laptop`);
    const [here, there] = [await phone.get('a'), await laptop.get('a')].map((doc) => doc._attachments[name]);
    assert.deepEqual(there, here, `${name}: type, length, digest and revpos`);
    assert.equal(here.digest, digest(bytes));
    assert.equal(there.content_type, type);
  }
});

test('the server’s stub has the length and the MD5 of what is stored', async () => {
  const database = remote(server.fresh('stub'));
  const [, bytes] = samples['random.bin'];
  await database.put({ _id: 'a', _attachments: { x: inline(BINARY, bytes) } });
  const { _attachments: stubs } = await database.get('a');
  assert.deepEqual(stubs.x, {
    content_type: BINARY,
    revpos: 1,
    digest: digest(bytes),
    length: bytes.length,
    stub: true,
  });
});

test('an update keeps the attachment by its stub, which then replicates with it', async (t) => {
  const url = server.fresh('kept');
  const [database, phone] = [remote(url), device(t)];
  const [, bytes] = samples['random.bin'];
  await database.put({ _id: 'a', n: 1, _attachments: { x: inline(BINARY, bytes) } });
  const doc = await database.get('a');
  assert.equal(doc._attachments.x.stub, true);
  await database.put({ ...doc, n: 2 });
  const updated = await database.get('a');
  assert.deepEqual(updated._attachments, doc._attachments, 'revpos and digest stay');
  await replicate(url, phone);
  same(await phone.getAttachment('a', 'x'), bytes, 'x on the phone');

  const local = await phone.get('a');
  const { rev } = await phone.put({ ...local, n: 3 });
  await replicate(phone, url);
  assert.equal((await database.get('a'))._rev, rev);
  same(await database.getAttachment('a', 'x'), bytes, 'x on the server');

  await database.put({ _id: 'a', _rev: rev, n: 4 });
  await assert.rejects(database.getAttachment('a', 'x'), { status: 404 });
  same(await database.getAttachment('a', 'x', { rev }), bytes, 'x of the former revision');
});

test('a stub of an attachment that is not there is refused', async () => {
  const url = server.fresh('missing');
  const stub = { stub: true, content_type: BINARY, digest: digest(''), length: 0, revpos: 1 };
  const database = remote(url);
  const { rev } = await database.put({ _id: 'a' });
  const body = { _rev: rev, _attachments: { x: stub } };
  const answer = await server.request('PUT', `${url}/a`, { body });
  assert.equal(answer.status, 412);
  assert.equal(answer.body.error, 'missing_stub');
  assert.equal((await database.get('a'))._rev, rev);
});

test('10 MB go up from one device and come down on the other', async (t) => {
  const url = server.fresh('large');
  const [phone, laptop] = [device(t), device(t)];
  const bytes = randomBytes(TEN_MB);
  await phone.putAttachment('a', 'large.bin', bytes, BINARY);
  await replicate(phone, url);
  await replicate(url, laptop);
  same(await laptop.getAttachment('a', 'large.bin'), bytes, 'large.bin on the laptop');
  const { _attachments: stubs } = await remote(url).get('a');
  assert.equal(stubs['large.bin'].digest, digest(bytes));
});

test('10 MB put and got alone, and in ranges', async () => {
  const url = server.fresh('alone');
  const database = remote(url);
  const bytes = randomBytes(TEN_MB);
  const { rev } = await database.putAttachment('a', 'large.bin', bytes, BINARY);
  same(await database.getAttachment('a', 'large.bin'), bytes, 'large.bin');
  const { headers, body } = await server.request('GET', `${url}/a/large.bin`);
  same(body, bytes, 'large.bin');
  assert.equal(headers.get('content-type'), BINARY);
  assert.equal(`md5-${headers.get('etag').replaceAll('"', '')}`, digest(bytes));

  const ranged = await server.request('GET', `${url}/a/large.bin`, { headers: { range: 'bytes=5000000-5000099' } });
  assert.equal(ranged.status, 206);
  assert.equal(ranged.headers.get('content-range'), `bytes 5000000-5000099/${TEN_MB}`);
  same(ranged.body, bytes.subarray(5_000_000, 5_000_100), 'the range');

  await database.removeAttachment('a', 'large.bin', rev);
  await assert.rejects(database.getAttachment('a', 'large.bin'), { status: 404 });
  assert.equal((await database.get('a'))._attachments, undefined);
});

test('multipart/related goes up, and down again, with several attachments of 10 MB and less', async (t) => {
  const url = server.fresh('related');
  await server.expect(201, 'PUT', url);
  const files = [
    { name: 'large.bin', type: BINARY, bytes: randomBytes(TEN_MB) },
    { name: 'text.txt', type: 'text/plain', bytes: samples['text.txt'][1] },
    { name: 'boundary.bin', type: BINARY, bytes: samples['boundary.bin'][1] },
    { name: 'empty.bin', type: BINARY, bytes: Buffer.alloc(0) },
  ];
  await server.expect(201, 'PUT', `${url}/a`, related({ n: 1 }, files));
  const phone = device(t);
  await replicate(url, phone);
  for (const { name, bytes } of files) same(await phone.getAttachment('a', name), bytes, `${name} on the phone`);

  const accept = { accept: 'multipart/related' };
  const { headers, body } = await server.request('GET', `${url}/a?attachments=true`, { headers: accept });
  const [doc, bodies] = unrelated(headers.get('content-type'), body);
  assert.equal(doc.n, 1);
  assert.deepEqual(Object.keys(bodies).sort(), files.map(({ name }) => name).sort());
  for (const { name, bytes } of files) same(bodies[name], bytes, `${name} in multipart/related`);
});

test('one attachment is kept as a stub while another follows', async () => {
  const url = server.fresh('mixed');
  const [old, fresh] = [randomBytes(3000), randomBytes(4000)];
  const { rev } = await remote(url).put({ _id: 'a', _attachments: { old: inline(BINARY, old) } });
  const upload = related({ _rev: rev, _attachments: { old: { stub: true } } }, [
    { name: 'fresh', type: BINARY, bytes: fresh },
  ]);
  await server.expect(201, 'PUT', `${url}/a`, upload);
  const { _attachments: stubs } = await remote(url).get('a');
  assert.deepEqual([stubs.old.revpos, stubs.fresh.revpos], [1, 2]);
  assert.deepEqual([stubs.old.digest, stubs.fresh.digest], [digest(old), digest(fresh)]);

  const since = encodeURIComponent(JSON.stringify([rev]));
  const newer = await server.expect(200, 'GET', `${url}/a?attachments=true&atts_since=${since}`);
  assert.equal(newer._attachments.old.stub, true);
  same(Buffer.from(newer._attachments.fresh.data, 'base64'), fresh, 'fresh since the first revision');
});

test('a multipart upload that is cut short or lies about its digest changes nothing', async () => {
  const url = server.fresh('broken');
  await server.expect(201, 'PUT', url);
  const bytes = randomBytes(50_000);
  const whole = related({}, [{ name: 'x', type: BINARY, bytes }]);
  const short = await server.request('PUT', `${url}/a`, { ...whole, body: whole.body.subarray(0, 30_000) });
  assert.equal(short.status, 400);
  const lie = {
    _attachments: { x: { follows: true, content_type: BINARY, length: bytes.length, digest: digest('no') } },
  };
  const wrong = await server.request(
    'PUT',
    `${url}/b?new_edits=false`,
    write('related', [
      { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ ...lie, _rev: '1-a' }) },
      { body: bytes },
    ]),
  );
  assert.deepEqual([wrong.status, wrong.body.error], [400, 'content_md5_mismatch']);
  const info = await server.expect(200, 'GET', url);
  assert.equal(info.doc_count, 0);
});

test('open_revs gives each conflicting revision its own attachment as multipart/mixed', async (t) => {
  const url = server.fresh('open-revs');
  const [phone, laptop] = [device(t), device(t)];
  const files = { phone: randomBytes(5000), laptop: randomBytes(6000) };
  await phone.put({ _id: 'a', by: 'phone', _attachments: { x: inline(BINARY, files.phone) } });
  await laptop.put({ _id: 'a', by: 'laptop', _attachments: { x: inline(BINARY, files.laptop) } });
  await replicate(phone, url);
  await replicate(laptop, url);

  const accept = { accept: 'multipart/mixed' };
  const address = `${url}/a?open_revs=all&revs=true&attachments=true`;
  const { headers, body } = await server.request('GET', address, { headers: accept });
  assert.match(headers.get('content-type'), /^multipart\/mixed/);
  const found = read(headers.get('content-type'), body).map((part) =>
    unrelated(part.headers['content-type'], part.body),
  );
  assert.deepEqual(found.map(([doc]) => doc.by).sort(), ['laptop', 'phone']);
  for (const [doc, bodies] of found) same(bodies.x, files[doc.by], `x of ${doc.by}`);

  // Onto a device without the document: over one it has, PouchDB 9 asks for the attachment without its revision.
  const tablet = device(t);
  await replicate(url, tablet);
  const revs = await tablet.get('a', { open_revs: 'all' });
  assert.deepEqual(revs.map(({ ok }) => ok.by).sort(), ['laptop', 'phone']);
  for (const { ok } of revs) {
    same(await tablet.getAttachment('a', 'x', { rev: ok._rev }), files[ok.by], `x of ${ok.by} on the tablet`);
  }
});

test('an attachment written on either side of a live sync arrives on the other', async (t) => {
  const url = server.fresh('live');
  const wire = new Wire();
  const [phone, laptop] = [device(t), device(t)];
  live(phone, remote(url, wire));
  live(laptop, url);
  const first = await phone.putAttachment('a', 'one.bin', samples['random.bin'][1], BINARY);
  const has = (name) => laptop.getAttachment('a', name).catch(() => undefined);
  same(await eventually(20_000, 'one.bin', [laptop], () => has('one.bin')), samples['random.bin'][1], 'one.bin');
  await laptop.putAttachment('a', 'two.txt', first.rev, samples['text.txt'][1], 'text/plain');
  const arrived = eventually(20_000, 'two.txt', [phone], () =>
    phone.getAttachment('a', 'two.txt').catch(() => undefined),
  );
  same(await arrived, samples['text.txt'][1], 'two.txt');
  assert.ok(wire.of('POST', '_bulk_get').length > 0, 'PouchDB pulls by _bulk_get');
});

/** The document and the attachments by name of a multipart/related body. */
function unrelated(contentType, bytes) {
  assert.match(contentType, /^multipart\/related/);
  const [head, ...parts] = read(contentType, bytes);
  const bodies = parts.map(({ headers, body }) => {
    const [, name] = /filename="([^"]*)"/.exec(headers['content-disposition']) ?? assert.fail(JSON.stringify(headers));
    return [name, headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body];
  });
  return [JSON.parse(head.body.toString()), Object.fromEntries(bodies)];
}
