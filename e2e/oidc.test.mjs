// Users who log in by an identity provider: the real `oidc-provider` from npm, a browser that follows redirects and keeps
// cookies, and both of the server's dialects.

import assert from 'node:assert/strict';
import { generateKeyPair } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import Provider from 'oidc-provider';
import { within } from './deadline.mjs';
import { Server } from './server.mjs';

const server = await Server.start({ gateway: true });
const issuerHost = createServer((request, response) => handler(request, response));
await new Promise((resolve) => issuerHost.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${issuerHost.address().port}`;
after(async () => {
  issuerHost.closeAllConnections();
  issuerHost.close();
  await server.remove();
});

const callback = `${server.gateway}/db/_oidc_callback`;
const groups = { ada: ['nurse'], bob: [] };
const asked = [];
let handler;

/** The provider with a new key, of this id. */
async function restartProvider(kid) {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const claims = (sub) => ({ sub, email: `${sub}@example.org`, groups: groups[sub] ?? [] });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'app',
        client_secret: 'a secret: with odd+characters%',
        redirect_uris: [callback],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub', 'groups'], email: ['email'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['one'] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => claims(sub) }),
    issueRefreshToken: () => true,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] },
    pkce: { required: () => true },
  });
  const answer = provider.callback();
  handler = (request, response) => {
    asked.push(request.url);
    answer(request, response);
  };
}

before(async () => {
  await restartProvider('first');
  const oidc = {
    default_provider: 'home',
    providers: {
      home: {
        issuer,
        client_id: 'app',
        validation_key: 'a secret: with odd+characters%',
        register: true,
        username_claim: 'sub',
        roles_claim: 'groups',
      },
      closed: { issuer: `${issuer}/other`, client_id: 'app' },
    },
  };
  await server.expect(201, 'PUT', `${server.admin}/db/`, { body: { oidc } });
  await server.expect(201, 'PUT', `${server.admin}/db/_role/nurse`, { body: { admin_channels: ['ward'] } });
  const body = { text: 'pulse', channels: ['ward'] };
  await server.expect(201, 'PUT', `${server.admin}/db/note`, { body });
});

/** A browser: follows redirects by hand, and keeps each host's cookies. */
class Browser {
  jar = new Map();

  async go(url, options = {}) {
    const { host } = new URL(url);
    const kept = this.jar.get(host) ?? new Map();
    const cookie = [...kept].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
      ...options,
      headers: { ...(cookie && { cookie }), ...options.headers },
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      if (value === '' || /Max-Age=0/i.test(set)) kept.delete(name);
      else kept.set(name, value);
    }
    this.jar.set(host, kept);
    return response;
  }

  /** Logs in to the provider as `sub`, beginning at this page of its: the address that it sends the browser back to. */
  async logIn(url, sub) {
    for (let pages = 0; pages < 20; pages += 1) {
      if (url.startsWith(callback)) return url;
      let response = await this.go(url);
      if (response.status === 200) {
        const page = await response.text();
        const action = /<form[^>]* action="([^"]+)"/.exec(page)[1];
        const prompt = /name="prompt" value="([^"]+)"/.exec(page)[1];
        const form = new URLSearchParams({ prompt, login: sub, password: 'any' });
        response = await this.go(new URL(action, url).href, { method: 'POST', body: form });
      }
      const location = response.headers.get('location');
      assert.ok(location, `${url} answered ${response.status}: ${await response.text()}`);
      url = new URL(location, url).href;
    }
    throw new Error('the provider sends the browser in circles');
  }
}

/** The whole journey: what the callback answers. */
async function journey(sub, browser = new Browser()) {
  const sent = await browser.go(`${server.gateway}/db/_oidc?offline=true`);
  assert.equal(sent.status, 302, await sent.clone().text());
  const back = await browser.logIn(sent.headers.get('location'), sub);
  const response = await browser.go(back);
  return { response, back, browser, body: await response.json() };
}

const bearer = (token) => ({ authorization: `Bearer ${token}` });

test('a browser logs in, and its user is registered with its roles', async () => {
  const { response, body, browser } = await journey('ada');
  assert.equal(response.status, 200, JSON.stringify(body));
  assert.deepEqual(Object.keys(body).sort(), ['id_token', 'name', 'refresh_token', 'session_id']);
  assert.equal(body.name, 'ada');
  assert.match(response.headers.getSetCookie().join(), /SyncGatewaySession=[0-9a-f]{40}; Path=\/db; .*HttpOnly/);
  const session = await browser.go(`${server.gateway}/db/_session`);
  const { userCtx } = await session.json();
  assert.deepEqual([userCtx.name, Object.keys(userCtx.channels)], ['ada', ['!', 'ward']]);
  assert.equal((await browser.go(`${server.gateway}/db/note`)).status, 200);
  const user = await server.expect(200, 'GET', `${server.admin}/db/_user/ada`);
  assert.deepEqual([user.email, user.roles], ['ada@example.org', ['nurse']]);
  assert.deepEqual([user.jwt_issuer, user.jwt_roles, user.admin_roles], [issuer, ['nurse'], undefined]);
});

test('its id token opens both dialects, and one that was altered neither', async () => {
  const { id_token: token } = (await journey('ada')).body;
  const altered = `${token.slice(0, -6)}AAAAAA`;
  for (const url of [`${server.gateway}/db/note`, `${server.url}/db/note`]) {
    const note = await server.expect(200, 'GET', url, { headers: bearer(token) });
    assert.equal(note.text, 'pulse');
    assert.notEqual((await server.request('GET', url, { headers: bearer(altered) })).status, 200);
  }
  await server.expect(401, 'GET', `${server.gateway}/db/note`, { headers: bearer(altered) });
});

test('who loses a role loses its channels with the next login', async () => {
  groups.bob = ['nurse'];
  const first = (await journey('bob')).body;
  await server.expect(200, 'GET', `${server.gateway}/db/note`, { headers: bearer(first.id_token) });
  groups.bob = [];
  const next = (await journey('bob')).body;
  await server.expect(403, 'GET', `${server.gateway}/db/note`, { headers: bearer(next.id_token) });
});

test('a refresh token brings the next session', async () => {
  const { refresh_token: token } = (await journey('ada')).body;
  const url = (value) => `${server.gateway}/db/_oidc_refresh?refresh_token=${encodeURIComponent(value)}`;
  const next = await server.expect(200, 'GET', url(token));
  assert.deepEqual([next.name, next.session_id.length], ['ada', 40]);
  const refused = await server.expect(401, 'GET', url('made-up'));
  assert.equal(refused.reason, 'Unable to refresh token.');
  await server.expect(400, 'GET', `${server.gateway}/db/_oidc_refresh`);
});

test('an app is told where to send its browser', async () => {
  const { status, headers, body } = await server.request('GET', `${server.gateway}/db/_oidc_challenge`);
  assert.deepEqual([status, body.reason], [401, 'Login Required']);
  assert.match(headers.get('www-authenticate'), new RegExp(`^OIDC login="${issuer}/auth\\?`));
});

test('only the browser that was sent comes back, with one code, once', async () => {
  const browser = new Browser();
  const sent = await browser.go(`${server.gateway}/db/_oidc`);
  const back = await browser.logIn(sent.headers.get('location'), 'ada');
  const elsewhere = await new Browser().go(back);
  assert.equal(elsewhere.status, 400, 'another browser');
  const forged = await browser.go(back.replace(/state=[^&]+/, 'state=forged'));
  assert.equal(forged.status, 400, 'another state');
  assert.equal((await browser.go(back)).status, 200);
  assert.equal((await browser.go(back)).status, 400, 'the journey is over');
});

test('the client\'s secret is told nobody, and stays', async () => {
  const config = await server.expect(200, 'GET', `${server.admin}/db/_config`);
  assert.equal(config.oidc.providers.home.validation_key, 'xxxxx');
  await server.expect(201, 'POST', `${server.admin}/db/_config`, { body: { oidc: config.oidc } });
  assert.equal((await journey('ada')).response.status, 200);
});

test('a refusal of the provider is told', async () => {
  const told = async (query) => {
    const { status, body } = await server.request('GET', `${callback}?${query}`);
    return [status, body.reason];
  };
  const denied = 'error=access_denied&error_description=not%20today';
  assert.deepEqual(await told(denied), [401, 'oidc callback received an error: not today']);
  assert.deepEqual(await told(''), [400, 'Code must be present on oidc callback']);
  assert.equal((await server.request('GET', `${server.gateway}/db/_oidc?provider=none`)).status, 400);
  assert.equal((await server.request('GET', `${server.gateway}/db/_oidc?provider=closed`)).status, 502);
});

test('a new key of the provider is found, and an old one forgotten', async () => {
  const { id_token: old } = (await journey('ada')).body;
  await restartProvider('second');
  asked.length = 0;
  const loggedIn = async () => {
    for (;;) {
      const made = await journey('ada');
      if (made.response.status === 200) return made;
    }
  };
  const { body } = await within(60_000, 'a login with the new key', loggedIn());
  await server.expect(200, 'GET', `${server.gateway}/db/note`, { headers: bearer(body.id_token) });
  await server.expect(401, 'GET', `${server.gateway}/db/note`, { headers: bearer(old) });
  const documents = asked.filter((path) => path.startsWith('/jwks'));
  assert.ok(documents.length >= 1 && documents.length < 20, `asked for keys ${documents.length} times`);
});
