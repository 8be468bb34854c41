// The changes feed as replicators read it: longpoll from now, continuous, eventsource, and no event lost in between.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { within } from './deadline.mjs';
import { remote } from './device.mjs';
import { Feed } from './feed.mjs';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

async function filled(name, count) {
  const url = server.fresh(name);
  await remote(url).bulkDocs(Array.from({ length: count }, (_, i) => ({ _id: `old-${i}`, i })));
  return url;
}

test('a longpoll from now waits for the next write, and its last_seq is where to go on', async (t) => {
  const url = await filled('now', 20);
  const aborting = new AbortController();
  t.after(() => aborting.abort());
  const response = await within(
    20_000,
    'headers of the longpoll, before any change',
    fetch(
      `${url}/_changes?feed=longpoll&since=now&include_docs=true&style=all_docs&heartbeat=9000&limit=60&seq_interval=60`,
      { signal: aborting.signal },
    ),
  );
  assert.equal(response.status, 200);
  const { rev } = await remote(url).put({ _id: 'new', n: 1 });
  const { results, last_seq: since } = await within(20_000, 'the longpoll’s answer', response.json());
  assert.deepEqual(
    results.map(({ doc }) => doc),
    [{ _id: 'new', _rev: rev, n: 1 }],
  );
  assert.equal(results[0].seq, since);

  const none = await server.expect(200, 'GET', `${url}/_changes?since=${since}`);
  assert.deepEqual([none.results, none.last_seq, none.pending], [[], since, 0]);
});

test('a longpoll with something to tell, or whose time is over, answers at once', async () => {
  const url = await filled('at-once', 5);
  const all = await server.expect(200, 'GET', `${url}/_changes?feed=longpoll&since=0`);
  assert.equal(all.results.length, 5);
  const late = await server.expect(200, 'GET', `${url}/_changes?feed=longpoll&since=${all.last_seq}&timeout=100`);
  assert.deepEqual([late.results, late.last_seq], [[], all.last_seq]);
});

test('sequences survive unencoded in an address, as RxDB sends them', async () => {
  const url = await filled('plain', 3);
  const { results } = await server.expect(200, 'GET', `${url}/_changes`);
  for (const { seq } of results) assert.match(String(seq), /^[0-9]+(-[A-Za-z0-9_.~-]*)?$/);
});

test('longpolls one after another under concurrent writes report every document', async () => {
  const url = await filled('race', 0);
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    const database = remote(url);
    for (let i = 0; i < 50; i += 1) await database.put({ _id: `${writer}-${i}` });
  });
  const seen = new Set();
  let since = 0;
  const reading = (async () => {
    while (seen.size < 200) {
      const answer = await server.expect(200, 'GET', `${url}/_changes?feed=longpoll&since=${since}&timeout=30000`);
      for (const { id } of answer.results) {
        assert.equal(seen.has(id), false, `${id} came twice`);
        seen.add(id);
      }
      since = answer.last_seq;
    }
  })();
  await Promise.all(writers);
  await within(20_000, `the last of 200 changes; ${seen.size} came`, reading);
});

test('a continuous feed reports each write as it happens, and beats in between', async (t) => {
  const url = await filled('continuous', 3);
  const feed = await Feed.open(`${url}/_changes?feed=continuous&since=0&heartbeat=50&include_docs=true`);
  t.after(() => feed.close());
  for (let i = 0; i < 3; i += 1) assert.match((await feed.row()).id, /^old-/);
  while ((await feed.next()) !== '') assert.fail('only heartbeats may come now');
  const database = remote(url);
  for (let i = 0; i < 20; i += 1) {
    const { rev } = await database.put({ _id: `new-${i}`, i });
    const row = await feed.row();
    assert.deepEqual([row.id, row.changes, row.doc.i], [`new-${i}`, [{ rev }], i]);
  }
  await database.remove(await database.get('new-3'));
  const { id, deleted } = await feed.row();
  assert.deepEqual([id, deleted], ['new-3', true]);
});

test('a continuous feed ends with its last_seq after its limit or its timeout', async () => {
  const url = await filled('ends', 5);
  const limited = await Feed.open(`${url}/_changes?feed=continuous&since=0&limit=2`);
  const rows = [await limited.row(), await limited.row(), await limited.row(), await limited.row()];
  assert.equal(rows[2].last_seq, rows[1].seq);
  assert.equal(rows[2].pending, 3);
  assert.equal(rows[3], undefined);
  const timed = await Feed.open(`${url}/_changes?feed=continuous&since=now&timeout=100`);
  assert.ok('last_seq' in (await timed.row()));
  assert.equal(await timed.next(), undefined);
});

test('an eventsource feed goes on after the last event its client saw', async (t) => {
  const url = await filled('events', 3);
  const first = await Feed.open(`${url}/_changes?feed=eventsource&since=0`, { accept: 'text/event-stream' });
  assert.match(first.response.headers.get('content-type'), /^text\/event-stream/);
  const { data, id } = await first.event();
  first.close();
  assert.equal(String(JSON.parse(data).seq), id.replaceAll('"', ''));
  const again = await Feed.open(`${url}/_changes?feed=eventsource`, { 'last-event-id': id });
  t.after(() => again.close());
  const rest = [JSON.parse((await again.event()).data).id, JSON.parse((await again.event()).data).id];
  assert.equal(rest.includes(JSON.parse(data).id), false);
  await remote(url).put({ _id: 'new' });
  assert.equal(JSON.parse((await again.event()).data).id, 'new');
});

test('the feed has each document once, at its latest place, forwards and backwards', async () => {
  const url = await filled('order', 4);
  const database = remote(url);
  await database.put({ ...(await database.get('old-1')), edited: true });
  await database.remove(await database.get('old-2'));
  const ids = async (query) =>
    (await server.expect(200, 'GET', `${url}/_changes?${query}`)).results.map(({ id }) => id);
  const order = ['old-0', 'old-3', 'old-1', 'old-2'];
  assert.deepEqual(await ids(''), order);
  assert.deepEqual(await ids('descending=true'), [...order].reverse());
  assert.deepEqual(await ids('limit=2'), order.slice(0, 2));
  const malformed = await server.request('GET', `${url}/_changes?since=nonsense`);
  assert.equal(malformed.status, 400);
});
