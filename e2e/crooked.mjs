// A peer that misbehaves: a proxy in front of a server, for tests of the replicator.

import { once } from 'node:events';
import { createServer, request as send } from 'node:http';

/** What a request is for, whatever document it is about. */
export function kind({ method, url }) {
  const [, rest = ''] = /^\/[^/?]+\/?([^?]*)/.exec(url) ?? [];
  const part = rest.startsWith('_') ? rest.split('/')[0] : rest === '' ? 'db' : 'doc';
  return `${method} ${part}`;
}

/** A peer in front of a server that does to each request what `treat(kind, count, request)` says. */
export class Crooked {
  static async start(t, behind, treat) {
    const crooked = new Crooked();
    crooked.behind = behind;
    crooked.counts = {};
    crooked.seen = [];
    crooked.server = createServer((request, response) => {
      const what = kind(request);
      crooked.counts[what] = (crooked.counts[what] ?? 0) + 1;
      crooked.seen.push({ what, url: request.url, headers: request.headers });
      crooked.answer(request, response, treat(what, crooked.counts[what], request) ?? {});
    });
    crooked.server.listen(0, '127.0.0.1');
    await once(crooked.server, 'listening');
    t.after(() => {
      crooked.server.close();
      crooked.server.closeAllConnections();
    });
    crooked.url = `http://127.0.0.1:${crooked.server.address().port}`;
    return crooked;
  }

  answer(request, response, { status, body, stall, cut, cutRequest, change, accept, headers: more }) {
    if (stall) return;
    if (status) {
      request.resume();
      response.writeHead(status, { 'content-type': 'application/json', ...more });
      response.end(body ?? '{"error":"crooked","reason":"on purpose"}');
      return;
    }
    const { method, url } = request;
    const headers = accept ? { ...request.headers, accept } : request.headers;
    const forwarded = send(this.behind.url + url, { method, headers }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => {
        let whole = Buffer.concat(chunks);
        if (change) whole = Buffer.from(change(whole.toString()));
        const { 'transfer-encoding': _encoding, ...kept } = answer.headers;
        response.writeHead(answer.statusCode, { ...kept, 'content-length': whole.length });
        if (!cut) return response.end(whole);
        response.write(whole.subarray(0, Math.floor(whole.length / 2)));
        return setTimeout(() => response.destroy(), 20);
      });
    });
    forwarded.on('error', () => response.destroy());
    if (!cutRequest) return request.pipe(forwarded);
    return request.once('data', () => {
      forwarded.destroy();
      request.destroy();
    });
  }
}
