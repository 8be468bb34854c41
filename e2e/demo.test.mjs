// The demonstration that the README's first command runs: it must work, quickly, and say so when it can't.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server } from './server.mjs';

const server = await Server.start();
after(() => server.remove());

/** Runs the demonstration: { code, printed }. */
function demonstrate(address) {
  const script = fileURLToPath(new URL('demo.mjs', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [script, address], { timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, printed: stdout + stderr });
    });
  });
}

test('two devices sync, disagree, agree again and share an attachment', async () => {
  const { code, printed } = await demonstrate(server.url);
  assert.equal(code, 0, printed);
  for (const line of ['got it live', 'a conflict', 'no conflict', 'byte for byte', '/_changes']) {
    assert.ok(printed.includes(line), `"${line}" in\n${printed}`);
  }
  const [name] = (await server.expect(200, 'GET', '/_all_dbs')).filter((found) => found.startsWith('demo-'));
  const { items } = await server.expect(200, 'GET', `/${name}/shopping`);
  assert.deepEqual([...items].sort(), ['apples', 'bread', 'coffee', 'milk']);
});

test('without a server it says so and fails', async () => {
  const { code, printed } = await demonstrate('http://127.0.0.1:1');
  assert.equal(code, 1);
  assert.match(printed, /no server at http:\/\/127\.0\.0\.1:1/);
});
