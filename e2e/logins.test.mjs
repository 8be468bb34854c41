// Users of one database: passwords, sessions and a trusted web server in front, on Sync Gateway's listener and on CouchDB's.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import PouchDB from 'pouchdb';
import { Server } from './server.mjs';

const server = await Server.start({ gateway: true });
after(() => server.remove());

const db = `${server.gateway}/db`;
const admin = `${server.admin}/db`;
const basic = (name, password) => ({ authorization: `Basic ${btoa(`${name}:${password}`)}` });

before(async () => {
  const remote = { header: 'Remote-User', groups_header: 'Remote-Groups', networks: ['127.0.0.0/8'], register: true };
  const body = { remote_user: { ...remote, group_roles: { staff: ['nurse'] } } };
  await server.expect(201, 'PUT', `${admin}/`, { body });
  await server.expect(201, 'PUT', `${admin}/_role/nurse`, { body: { admin_channels: ['ward'] } });
  await server.expect(201, 'PUT', `${admin}/_user/ada`, { body: { password: 'secret', admin_channels: ['own'] } });
  for (const channel of ['own', 'ward']) {
    await server.expect(201, 'PUT', `${admin}/in-${channel}`, { body: { channels: [channel] } });
  }
});

const ids = async (headers, url = db) => {
  const { rows } = await server.expect(200, 'GET', `${url}/_all_docs`, { headers });
  return rows.map((row) => row.id);
};

test('a password opens both dialects, and each shows what its user may see', async () => {
  assert.deepEqual(await ids(basic('ada', 'secret')), ['in-own']);
  assert.deepEqual(await ids(basic('ada', 'secret'), `${server.url}/db`), ['in-own']);
  const wrong = await server.expect(401, 'GET', `${db}/`, { headers: basic('ada', 'wrong') });
  assert.equal(wrong.reason, 'Invalid login');
  assert.equal((await server.expect(401, 'GET', `${db}/`)).reason, 'Login required');
  const pouch = new PouchDB(`${server.url}/db`, { auth: { username: 'ada', password: 'secret' }, skip_setup: true });
  assert.deepEqual((await pouch.allDocs()).rows.map((row) => row.id), ['in-own']);
});

test('a session lasts until it is ended, or its password is changed', async () => {
  const log = async () => {
    const body = { name: 'ada', password: 'secret' };
    const { status, headers } = await server.request('POST', `${db}/_session`, { body });
    assert.equal(status, 200);
    const [cookie] = headers.getSetCookie();
    assert.match(cookie, /^SyncGatewaySession=[0-9a-f]{40}; Path=\/db; Expires=[^;]+; HttpOnly; SameSite=Lax$/);
    return { cookie: cookie.split(';')[0] };
  };
  const first = await log();
  assert.deepEqual(await ids(first), ['in-own']);
  await server.expect(200, 'DELETE', `${db}/_session`, { headers: first });
  await server.expect(401, 'GET', `${db}/`, { headers: first });
  const second = await log();
  await server.expect(200, 'PUT', `${admin}/_user/ada`, { body: { password: 'another' } });
  await server.expect(401, 'GET', `${db}/`, { headers: second });
  await server.expect(200, 'PUT', `${admin}/_user/ada`, { body: { password: 'secret' } });
  await server.expect(401, 'GET', `${db}/`, { headers: second });
});

test('a session survives a crash of the server', async () => {
  const made = await server.expect(200, 'POST', `${admin}/_session`, { body: { name: 'ada', ttl: 3600 } });
  const headers = { cookie: `${made.cookie_name}=${made.session_id}` };
  await server.kill();
  await server.restart();
  assert.deepEqual(await ids(headers), ['in-own']);
});

test('a web server in front names users, and their groups are roles', async () => {
  const headers = { 'remote-user': 'bob', 'remote-groups': 'staff' };
  assert.deepEqual(await ids(headers), ['in-ward']);
  assert.deepEqual(await ids(headers, `${server.url}/db`), ['in-ward']);
  assert.deepEqual((await server.expect(200, 'GET', `${admin}/_user/bob`)).jwt_roles, ['nurse']);
  assert.deepEqual(await ids({ 'remote-user': 'bob' }), [], 'it left the group');
});
