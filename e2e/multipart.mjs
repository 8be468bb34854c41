// multipart bodies for the tests: written as a client writes them, and taken apart strictly.

import assert from 'node:assert/strict';

const CRLF = Buffer.from('\r\n');

/** A body of `parts` ({ headers, body }) and its Content-Type. */
export function write(subtype, parts) {
  const boundary = `b${Math.random().toString(36).slice(2)}`;
  const chunks = [];
  for (const { headers = {}, body } of parts) {
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    chunks.push(Buffer.from(`--${boundary}\r\n${head.join('')}\r\n`), Buffer.from(body), CRLF);
  }
  chunks.push(Buffer.from(`--${boundary}--`));
  return { body: Buffer.concat(chunks), headers: { 'content-type': `multipart/${subtype}; boundary="${boundary}"` } };
}

/** A document with attachments ({ name, type, bytes }) that follow it, as multipart/related. */
export function related(doc, attachments) {
  const stubs = attachments.map(({ name, type, bytes }) => [
    name,
    { follows: true, content_type: type, length: bytes.length },
  ]);
  const json = JSON.stringify({ ...doc, _attachments: { ...doc._attachments, ...Object.fromEntries(stubs) } });
  const parts = attachments.map(({ bytes }) => ({ body: bytes }));
  return write('related', [{ headers: { 'Content-Type': 'application/json' }, body: json }, ...parts]);
}

/** The parts of `bytes` as { headers, body }; anything malformed fails the test. */
export function read(contentType, bytes) {
  const [, quoted, bare] = /boundary=(?:"([^"]+)"|([^\s;]+))/.exec(contentType) ?? assert.fail(contentType);
  const delimiter = Buffer.from(`--${quoted ?? bare}`);
  assert.deepEqual(bytes.subarray(bytes.indexOf(delimiter), bytes.indexOf(delimiter) + delimiter.length), delimiter);
  const parts = [];
  let at = bytes.indexOf(delimiter) + delimiter.length;
  while (bytes.toString('latin1', at, at + 2) === '\r\n') {
    const end = bytes.indexOf(Buffer.concat([CRLF, delimiter]), at);
    assert.notEqual(end, -1, 'a part without its closing boundary');
    parts.push(part(bytes.subarray(at + CRLF.length, end)));
    at = end + CRLF.length + delimiter.length;
  }
  assert.equal(bytes.toString('latin1', at, at + 2), '--', 'no closing boundary');
  return parts;
}

function part(bytes) {
  const bare = bytes.indexOf(CRLF) === 0;
  const end = bare ? 0 : bytes.indexOf('\r\n\r\n');
  assert.notEqual(end, -1, 'a part without an empty line after its headers');
  const lines = bytes
    .toString('latin1', 0, end)
    .split('\r\n')
    .filter((line) => line !== '');
  const headers = lines.map((line) => [line.split(':', 1)[0].toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
  return { headers: Object.fromEntries(headers), body: bytes.subarray(end + (bare ? 2 : 4)) };
}
