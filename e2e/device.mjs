// Devices: PouchDBs in memory, and the wire between one of them and the server, recorded and cut at will.

import { randomUUID } from 'node:crypto';
import PouchDB from 'pouchdb';
import memory from 'pouchdb-adapter-memory';
import { within } from './deadline.mjs';

const STOP_MS = 10_000;

PouchDB.plugin(memory);

const syncs = new WeakMap();

/** An empty in-memory PouchDB. When the test `t` ends, its live syncs are cancelled and it is gone. */
export function device(t) {
  const database = new PouchDB(`device-${randomUUID()}`, { adapter: 'memory' });
  syncs.set(database, []);
  t.after(async () => {
    for (const sync of syncs.get(database)) await sync.stopped();
    await database.destroy();
  });
  return database;
}

/** A PouchDB that speaks HTTP to the server, through `wire` if one is given. */
export function remote(url, wire) {
  return new PouchDB(url, wire ? { fetch: wire.fetch } : {});
}

/** Live sync of a device both ways, that tries again at once when the server is away. `stopped()` ends it. */
export function live(database, other, options = {}) {
  const sync = database.sync(other, { live: true, retry: true, back_off_function: () => 50, ...options });
  const ended = new Promise((resolve) => sync.once('complete', resolve).once('error', resolve));
  sync.stopped = () => {
    sync.cancel();
    return within(STOP_MS, 'a cancelled sync to complete', ended);
  };
  syncs.get(database).push(sync);
  return sync;
}

/** One-shot replication; document-level failures fail it too. */
export async function replicate(source, target, options = {}) {
  const result = await PouchDB.replicate(source, target, options);
  if (!result.ok || result.doc_write_failures > 0) throw new Error(JSON.stringify(result));
  return result;
}

/** Every document of `database` as id → revision, deleted ones left out. */
export async function revisions(database) {
  const { rows } = await database.allDocs();
  return new Map(rows.map((row) => [row.id, row.value.rev]));
}

/** The feed of `database` as id → winner, leaf revisions and whether it is deleted; throws when an id comes twice. */
export async function leaves(database) {
  const { results } = await database.changes({ style: 'all_docs', since: 0, include_docs: true });
  const found = new Map();
  for (const { id, changes, deleted, doc } of results) {
    if (found.has(id)) throw new Error(`${id} twice in the changes of ${database.name}`);
    // PouchDB lists the leaves in its tree's order, so only the set of them compares.
    found.set(id, { winner: doc._rev, deleted: deleted === true, revs: changes.map(({ rev }) => rev).sort() });
  }
  return found;
}

/** What `leaves` says of a document with these leaf revisions, winner first. */
export function leaf(deleted, ...revs) {
  return { winner: revs[0], deleted: deleted === 'deleted', revs: [...revs].sort() };
}

/**
 * One request: its path below the database, its query, its body, and the answer's status once there is one. `isBroken`
 * if it was sent and the server went away instead of answering.
 */
class Call {
  #json;

  constructor(method, path, query, body) {
    Object.assign(this, { method, path, query, body, status: undefined, isBroken: false });
  }

  get json() {
    return (this.#json ??= JSON.parse(this.body));
  }
}

/** The requests of one remote database, in order; while it is `cut()` they fail as if the network were gone. */
export class Wire {
  calls = [];
  isCut = false;
  #mended = undefined;
  #mend = () => {};
  #waiting = [];

  fetch = async (url, options = {}) => {
    const { pathname, searchParams } = new URL(url);
    const path = decodeURIComponent(pathname).replace(/^\/[^/]*\/?/, '');
    const call = new Call(options.method ?? 'GET', path, searchParams, options.body);
    this.calls.push(call);
    const response =
      call.method === 'GET' && path === '' ? await this.#info(url, options) : await this.#send(call, url, options);
    call.status = response.status;
    return response;
  };

  /** The server is about to go: what fails from now on until `mend()` is meant to. */
  brace() {
    this.#mended ??= new Promise((resolve) => (this.#mend = resolve));
  }

  cut() {
    this.brace();
    this.isCut = true;
  }

  mend() {
    this.isCut = false;
    this.#mended = undefined;
    this.#mend();
  }

  /** Forgets what was recorded so far. */
  clear() {
    this.calls = [];
  }

  /** The calls of `method` whose path below the database starts with `path`. */
  of(method, path) {
    return this.calls.filter((call) => call.method === method && call.path.startsWith(path));
  }

  /** Resolves when the next request of `method` and `path` is sent. */
  next(method, path) {
    return new Promise((resolve) => this.#waiting.push({ method, path, resolve }));
  }

  async #send(call, url, options) {
    if (this.isCut) throw new TypeError('fetch failed: the wire is cut');
    this.#tell(call);
    try {
      return await PouchDB.fetch(url, options);
    } catch (error) {
      call.isBroken = error.name !== 'AbortError';
      throw error;
    }
  }

  #tell(call) {
    const isMeant = ({ method, path }) => call.method === method && call.path.startsWith(path);
    for (const { resolve } of this.#waiting.filter(isMeant)) resolve(call);
    this.#waiting = this.#waiting.filter((waiting) => !isMeant(waiting));
  }

  /**
   * The database's information, once the wire is whole: PouchDB 9 asks for it after each batch of a replication and
   * leaves the failure of just this request unhandled (`finishBatch`), which would end the process.
   */
  async #info(url, options) {
    for (;;) {
      if (this.isCut) await this.#mended;
      try {
        const response = await PouchDB.fetch(url, options);
        return new Response(await response.text(), { status: response.status, headers: [...response.headers] });
      } catch (error) {
        if (this.#mended === undefined) throw error;
        await this.#mended;
      }
    }
  }
}
