// The OpenAPI documents: valid as documents, and true. Each operation is asked for, and what comes back is compared with
// the statuses and schemas that are told, in which nothing may be missing either.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import SwaggerParser from '@apidevtools/swagger-parser';
import Ajv from 'ajv/dist/2020.js';
import { Server } from './server.mjs';

const servers = {};
for (const profile of ['2', '4']) servers[profile] = await Server.start({ gateway: true, profile });
after(() => Promise.all(Object.values(servers).map((server) => server.remove())));

const basic = (name) => ({ authorization: `Basic ${btoa(`${name}:secret`)}` });
const javascript = { 'content-type': 'application/javascript' };
const SYNC = 'function (doc) { channel(doc.channels); access(doc.users, doc.grant); console.log("asked"); }';

/** What isn't asked for here: an operation, and why. */
const LEFT_OUT = {
  enterOidc: 'needs a provider: oidc.test.mjs',
  challengeOidc: 'needs a provider: oidc.test.mjs',
  callbackOidc: 'needs a provider: oidc.test.mjs',
  refreshOidc: 'needs a provider: oidc.test.mjs',
};

/** A listener's document, and what was asked of it. */
class Api {
  constructor(server, origin, document) {
    this.server = server;
    this.origin = origin;
    this.paths = document.paths;
    this.asked = new Set();
    this.ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
    for (const schema of Object.values(document.components.schemas)) close(schema);
    this.ajv.addSchema({ $id: 'api', components: document.components });
  }

  static async of(server, origin) {
    return new Api(server, origin, await server.expect(200, 'GET', `${origin}/_api/openapi.json`));
  }

  /** Asks for `path`, which is the template with its names filled in, and compares the answer. Gives its body. */
  async ask(line, { status = 200, ...options } = {}) {
    const [method, path] = line.split(' ');
    const { pathname } = new URL(path, this.origin);
    const template = this.template(pathname, method);
    const operation = this.paths[template][method.toLowerCase()];
    const answer = await this.server.request(method, this.origin + path, { redirect: 'manual', ...options });
    const shown = Buffer.isBuffer(answer.body) ? answer.body.toString() : JSON.stringify(answer.body);
    assert.equal(answer.status, status, `${line}: ${shown.slice(0, 500)}`);
    const told = operation.responses[status];
    assert.ok(told, `${line}: ${status} isn't told of`);
    if (status < 400 || status === 501 || status === 500) this.asked.add(operation.operationId);
    this.#compare(line, told, answer);
    return answer;
  }

  #compare(line, told, { headers, body }) {
    if (!told.content) return assert.equal(body.length, 0, `${line}: no body is told of`);
    const type = headers.get('content-type').split(';')[0];
    const content = told.content[type] ?? told.content['*/*'];
    assert.ok(content, `${line}: ${type} isn't told of`);
    if (type !== 'application/json') return;
    const valid = this.ajv.compile(refer(content.schema));
    assert.ok(valid(body), `${line}: ${JSON.stringify(valid.errors)} in ${JSON.stringify(body).slice(0, 500)}`);
  }

  /** The path that OpenAPI has a reader find: names as they are go before names in braces. */
  template(path, method) {
    const segments = path.split('/');
    const fits = (template) => {
      const wanted = template.split('/');
      const named = wanted.every((name, place) => name === segments[place] || /^\{.+\}$/.test(name));
      return named && wanted.length === segments.length && method.toLowerCase() in this.paths[template];
    };
    const braces = (template) => template.split('{').length;
    const found = Object.keys(this.paths).filter(fits).sort((a, b) => braces(a) - braces(b))[0];
    assert.ok(found, `${method} ${path} isn't in the document of ${this.origin}`);
    return found;
  }

  /** Operations that nobody asked for. */
  get left() {
    const operations = Object.values(this.paths).flatMap((item) => Object.entries(item));
    const ids = operations.filter(([method]) => method !== 'head').map(([, operation]) => operation.operationId);
    return ids.filter((id) => !this.asked.has(id) && !(id in LEFT_OUT));
  }
}

/** Members that aren't told of aren't there, but where any may be. */
function close(schema) {
  if (schema.properties && schema.additionalProperties === undefined) schema.additionalProperties = false;
}

/** The schema with its references into the whole document. */
function refer(schema) {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/'));
}

for (const [profile, server] of Object.entries(servers)) {
  test(`the documents of profile ${profile} are valid`, () => areValid(server));
  test(`the admin port of profile ${profile} does what its document says`, () => asAdministrator(server));
  test(`the public port of profile ${profile} does what its document says`, () => asUser(server));
}

async function areValid(server) {
  for (const origin of [server.gateway, server.admin]) {
    const document = await server.expect(200, 'GET', `${origin}/_api/openapi.json`);
    assert.equal((await SwaggerParser.validate(document)).openapi, '3.1.0');
  }
}

async function asAdministrator(server) {
  const api = await Api.of(server, server.admin);
  const ask = (line, options) => api.ask(line, options);
  for (const line of [
    'GET /', 'GET /_ping', 'GET /_all_dbs', 'GET /_config', 'GET /_logging', 'GET /_stats', 'GET /_expvar',
    'GET /metrics', 'GET /_metrics', 'GET /_api/', 'GET /_api/openapi.json', 'GET /_api/page.js',
    'GET /_api/page.css', 'GET /_api/swagger-ui-bundle.js', 'GET /_api/swagger-ui.css',
  ]) {
    await ask(line, { headers: { accept: '*/*' } });
  }
  await ask('PUT /_config', { status: 501, body: {} });
  await ask('PUT /_logging', { status: 501, body: {} });
  await ask('POST /_logging', { status: 501, body: {} });

  await ask('PUT /db/', { status: 201, body: { sync: SYNC, users: { ada: { password: 'secret' } } } });
  await ask('PUT /db/', { status: 412, body: {} });
  await ask('GET /db/');
  await ask('GET /_all_dbs?verbose=true');
  await ask('GET /_status');
  await ask('POST /db/_ensure_full_commit', { status: 201 });
  await ask('GET /db/_config?include_runtime=true');
  await ask('POST /db/_config', { status: 201, body: { revs_limit: 50 } });
  await ask('PUT /db/_config', { status: 201, body: { sync: SYNC } });
  await ask('PUT /db/_config', { status: 400, body: { synk: 1 } });
  await ask('GET /db/_config/sync');
  await ask('PUT /db/_config/sync', { headers: javascript, body: SYNC });
  await ask('PUT /db/_config/sync', { status: 400, headers: javascript, body: 'function (' });
  await ask('PUT /db/_config/import_filter', { headers: javascript, body: 'function (doc) { return true; }' });
  await ask('GET /db/_config/import_filter');
  await ask('DELETE /db/_config/import_filter');
  await aboutPeople(ask);
  await aboutDocuments(ask);
  await aboutUpkeep(ask, server);

  await ask('DELETE /db/_config/sync');
  await ask('DELETE /db/');
  await ask('GET /db/', { status: 404 });
  await aboutCollections(ask);
  assert.deepEqual(api.left, []);
}

async function aboutCollections(ask) {
  const scopes = { shop: { collections: { orders: { sync: SYNC } } } };
  await ask('PUT /db/', { status: 201, body: { scopes } });
  await ask('GET /db/_config');
  const collection_access = { shop: { orders: { admin_channels: ['notes'] } } };
  await ask('PUT /db/_role/packer', { status: 201, body: { collection_access } });
  await ask('GET /db/_role/packer');
  await ask('PUT /db/_user/ada', { status: 201, body: { password: 'secret', collection_access } });
  await ask('GET /db/_user/ada');
  await ask('PUT /db.shop.orders/a', { status: 201, body: { channels: ['notes'] } });
  await ask('GET /db.shop.orders/a');
  await ask('GET /db.shop.orders/_changes');
  await ask('DELETE /db/');
}

async function aboutPeople(ask) {
  const ada = { password: 'secret', email: 'ada@example.com', admin_channels: ['notes'], admin_roles: ['editor'] };
  await ask('PUT /db/_role/editor', { status: 201, body: { admin_channels: ['texts'] } });
  await ask('POST /db/_role/', { status: 201, body: { name: 'reader' } });
  await ask('POST /db/_role/', { status: 409, body: { name: 'reader' } });
  await ask('GET /db/_role/');
  await ask('GET /db/_role/editor');
  await ask('DELETE /db/_role/reader');
  await ask('PUT /db/_user/ada', { body: ada });
  await ask('PUT /db/_user/eve', { status: 400, body: { password: '' } });
  await ask('POST /db/_user/', { status: 201, body: { name: 'bob', password: 'secret' } });
  await ask('GET /db/_user/');
  await ask('GET /db/_user/?name_only=false');
  await ask('GET /db/_user/ada');
  const made = await ask('POST /db/_session', { body: { name: 'ada', ttl: 60 } });
  await ask(`GET /db/_session/${made.body.session_id}`);
  await ask(`DELETE /db/_user/ada/_session/${made.body.session_id}`);
  await ask(`GET /db/_session/${made.body.session_id}`, { status: 404 });
  await ask('DELETE /db/_user/ada/_session');
  await ask(`DELETE /db/_session/${made.body.session_id}`);
  await ask('GET /db/_session');
  await ask('DELETE /db/_user/bob');
  await ask('DELETE /db/_user/bob', { status: 404 });
}

async function aboutDocuments(ask) {
  const doc = { text: 'hello', channels: ['notes'], users: 'ada', grant: ['more'] };
  const { body: first } = await ask('PUT /db/note', { status: 201, body: doc });
  await ask('PUT /db/note', { status: 409, body: doc });
  await ask('POST /db/', { body: { channels: ['notes'] } });
  const { body: written } = await ask(`PUT /db/note/a.txt?rev=${first.rev}`, {
    status: 201,
    headers: { 'content-type': 'text/plain' },
    body: 'hello '.repeat(100),
  });
  await ask('GET /db/note/a.txt', { headers: { accept: '*/*' } });
  await ask('GET /db/note/a.txt?meta=true');
  await ask('GET /db/note?revs=true&attachments=true&show_exp=true');
  await ask('GET /db/note?open_revs=["1-none"]');
  await ask('GET /db/note?open_revs=all');
  await ask('GET /db/note', { headers: { 'if-none-match': `"${written.rev}"` }, status: 304 });
  await ask('GET /db/none', { status: 404 });
  for (const query of ['', '?include_docs=true&revs=true&update_seq=true&channels=true&access=true']) {
    await ask(`GET /db/_all_docs${query}`);
    await ask(`POST /db/_all_docs${query}`, { body: { keys: ['note', 'none'] } });
  }
  await ask('POST /db/_bulk_docs', { status: 201, body: { docs: [{ _id: 'note' }, { _id: 'other', channels: ['x'] }] } });
  await ask('POST /db/_bulk_get?attachments=true', { body: { docs: [{ id: 'note' }, { id: 'none' }] } });
  await ask('POST /db/_bulk_get', { headers: { accept: 'multipart/mixed' }, body: { docs: [{ id: 'note' }] } });
  await ask('POST /db/_revs_diff', { body: { note: [written.rev, '9-a'], none: ['1-a'] } });
  await ask('GET /db/_changes?include_docs=true&style=all_docs');
  await ask('POST /db/_changes', { body: { feed: 'longpoll', since: 1, version_type: 'cv' } });
  await ask('GET /db/_changes?feed=continuous&timeout=1', { headers: { accept: '*/*' } });
  await ask('GET /db/_changes?filter=nonsense', { status: 400 });
  await ask('PUT /db/_local/check', { status: 201, body: { at: 1 } });
  await ask('GET /db/_local/check');
  await ask('DELETE /db/_local/check?rev=0-1');
  await ask('PUT /db/_design/d', { status: 201, body: { views: { v: { map: 'function (doc, meta) { emit(1); }' } } } });
  await ask('GET /db/_design/d');
  await ask('GET /db/_design/d/_view/v', { status: 501 });
  await ask('DELETE /db/_design/d');
  const headers = { accept: '*/*' };
  await ask('GET /db/_raw/note');
  await ask('GET /db/note/_all_channels');
  await ask('GET /db/_channel_history/note');
  await ask('GET /db/_user/ada/_all_channels');
  await ask('GET /db/_user/ada/_access_history');
  await ask('GET /db/_user/ada?doc_id=note,none');
  await ask('GET /db/_revtree/note', { headers });
  await ask('GET /db/_dumpchannel/notes', { headers });
  await ask('GET /db/_explain?user=ada&doc=note');
  await ask('GET /db/_explain?user=none&doc=none');
  await ask('POST /db/_sync', { body: { doc: { channels: ['x'] }, userCtx: { name: 'ada' } } });
  await ask('POST /db/_sync', { body: { doc: {}, sync_function: 'function () { throw({ forbidden: "no" }); }' } });
  await ask('POST /db/_sync', { body: { doc: {}, sync_function: 'function () { expiry(9); nonsense(); }' } });
  await ask('POST /db/_dry_run', { headers, body: { sync_function: 'function (doc) { channel("x"); }' } });
  const { body: emptied } = await ask(`DELETE /db/note/a.txt?rev=${written.rev}`);
  await ask(`DELETE /db/note?rev=${emptied.rev}`);
}

async function aboutUpkeep(ask, server) {
  await ask('GET /db/_resync');
  await ask('POST /db/_resync');
  await ask('GET /db/_compact');
  await ask('POST /db/_compact');
  await ask('POST /db/_offline');
  await ask('GET /db/_all_docs', { status: 503 });
  await ask('POST /db/_online', { body: {} });
  await ask('POST /db/_purge', { body: { other: ['*'] } });
  await ask('POST /db/_repair', { status: 500 });
  const replication = { remote: `${server.gateway}/none`, direction: 'pushAndPull', initial_state: 'stopped' };
  await ask('PUT /db/_replication/r', { status: 201, body: replication });
  await ask('POST /db/_replication/', { body: { replication_id: 'r', batch_size: 7 } });
  await ask('GET /db/_replication/');
  await ask('GET /db/_replication/r');
  await ask('GET /db/_replicationStatus/?includeConfig=true');
  await ask('GET /db/_replicationStatus/r');
  await ask('PUT /db/_replicationStatus/r?action=stop');
  await ask('DELETE /db/_replication/r');
  await ask('POST /db/_flush');
}

async function asUser(server) {
  const users = { ada: { password: 'secret', admin_channels: ['notes'] } };
  await server.expect(201, 'PUT', `${server.admin}/pub/`, { body: { users } });
  const api = await Api.of(server, server.gateway);
  const ask = (line, { headers = {}, ...options } = {}) =>
    api.ask(line, { headers: { ...basic('ada'), ...headers }, ...options });
  for (const line of [
    'GET /', 'GET /_ping', 'GET /_api/', 'GET /_api/openapi.json', 'GET /_api/page.js', 'GET /_api/page.css',
    'GET /_api/swagger-ui-bundle.js', 'GET /_api/swagger-ui.css',
  ]) {
    await api.ask(line, { headers: { accept: '*/*' } });
  }
  await api.ask('GET /pub/', { status: 401 });
  await api.ask('GET /pub/_session');
  await ask('GET /pub/');
  await ask('GET /pub/_session');
  const { headers } = await api.ask('POST /pub/_session', { body: { name: 'ada', password: 'secret' } });
  await api.ask('POST /pub/_session?one_time=true', { body: { name: 'ada', password: 'secret' } });
  await api.ask('DELETE /pub/_session', { headers: { cookie: headers.get('set-cookie').split(';')[0] } });
  await api.ask('DELETE /pub/_session', { status: 404 });
  await ask('PUT /pub/', { status: 412 });

  const { body: first } = await ask('PUT /pub/note', { status: 201, body: { channels: ['notes'] } });
  await ask('POST /pub/', { body: { channels: ['notes'] } });
  await ask('GET /pub/note');
  const text = { 'content-type': 'text/plain' };
  const { body: second } = await ask(`PUT /pub/note/a?rev=${first.rev}`, { status: 201, headers: text, body: 'a' });
  await ask('GET /pub/note/a', { headers: { accept: '*/*' } });
  const { body: third } = await ask(`DELETE /pub/note/a?rev=${second.rev}`);
  await ask(`DELETE /pub/note?rev=${third.rev}`);
  await ask('GET /pub/_all_docs');
  await ask('POST /pub/_all_docs', { body: { keys: ['note'] } });
  await ask('POST /pub/_bulk_docs', { status: 201, body: { docs: [{}] } });
  await ask('POST /pub/_bulk_get', { body: { docs: [{ id: 'note' }] } });
  await ask('POST /pub/_revs_diff', { body: { note: ['9-a'] } });
  await ask('GET /pub/_changes?revocations=true');
  await ask('POST /pub/_changes', { body: {} });
  await ask('POST /pub/_ensure_full_commit', { status: 201 });
  await ask('PUT /pub/_local/check', { status: 201, body: {} });
  await ask('GET /pub/_local/check');
  await ask('DELETE /pub/_local/check?rev=0-1');
  const refused = ['createDatabase', 'getDesign', 'putDesign', 'deleteDesign', 'queryView'];
  for (const line of ['GET /pub/_design/d', 'DELETE /pub/_design/d', 'GET /pub/_design/d/_view/v']) {
    await ask(line, { status: 403 });
  }
  await ask('PUT /pub/_design/d', { status: 403, body: {} });
  assert.deepEqual(api.left.filter((id) => !refused.includes(id)), []);
}
