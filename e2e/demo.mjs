// A few seconds with Tidegate: two devices, real PouchDBs, sync real documents through the server named.
//
//     node demo.mjs http://127.0.0.1:5984
//
// Exit code 0: everything below happened. The demonstration's database stays, to look at.

const EVENT_MS = 20_000;

const [address] = process.argv.slice(2);
if (!address) fail('usage: node demo.mjs <URL of the server>');
const server = address.replace(/\/$/, '');
const PouchDB = await load();

const name = `demo-${new Date()
  .toISOString()
  .toLowerCase()
  .replace(/[^0-9t]/g, '-')
  .replace(/-+$/, '')}`;
const url = `${server}/${name}`;
const say = (who, what) => console.log(`  ${who.padEnd(8)} ${what}`);
const [phone, laptop] = ['phone', 'laptop'].map((device) => new PouchDB(`${name}-${device}`, { adapter: 'memory' }));

try {
  await demonstrate();
} catch (error) {
  fail(`the demonstration failed: ${error.message ?? error.reason ?? JSON.stringify(error)}`);
}
process.exit(0);

async function demonstrate() {
  await fetch(server).catch(({ cause }) => fail(`no server at ${server}: ${cause?.message}`));
  console.log(`\nTwo devices, both PouchDB, sync through ${server}\n`);
  let syncs = [phone, laptop].map(online);

  const { rev } = await phone.put({ _id: 'shopping', items: ['bread', 'milk'] });
  say('phone', 'wrote the note "shopping": bread, milk');
  await until(laptop, (doc) => doc._rev === rev);
  say('laptop', 'got it live');

  for (const sync of syncs) await offline(sync);
  const ours = await phone.put({ _id: 'shopping', _rev: rev, items: ['bread', 'milk', 'apples'] });
  await laptop.put({ _id: 'shopping', _rev: rev, items: ['bread', 'milk', 'coffee'] });
  say('both', 'went offline: the phone added apples, the laptop coffee');
  syncs = [phone, laptop].map(online);
  await until(phone, (doc) => doc._conflicts?.length === 1);
  const winner = await until(laptop, (doc) => doc._conflicts?.length === 1);
  const author = winner._rev === ours.rev ? 'phone' : 'laptop';
  say('both', `are online again: a conflict, both picked the ${author}'s edit and kept the other`);

  const merged = await resolve(laptop, winner);
  say('laptop', `resolved it: ${merged.items.join(', ')}`);
  await until(phone, (doc) => doc._rev === merged.rev && !doc._conflicts);
  say('phone', 'has the merged note, and no conflict');

  const photo = Buffer.from('R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=', 'base64');
  await phone.putAttachment('shopping', 'receipt.gif', merged.rev, photo, 'image/gif');
  say('phone', `attached receipt.gif, ${photo.length} bytes`);
  await until(laptop, (doc) => doc._attachments?.['receipt.gif']);
  const copy = await laptop.getAttachment('shopping', 'receipt.gif');
  if (!photo.equals(copy)) throw new Error('the attachment differs on the laptop');
  say('laptop', 'has it, byte for byte');

  for (const sync of syncs) await offline(sync);
  console.log(`\nThe server keeps the database. Look at it:\n  ${url}/shopping?revs=true\n  ${url}/_changes\n`);
}

/** The note with the items of all its revisions, the losers deleted. */
async function resolve(device, winner) {
  const { _conflicts: losers, ...note } = winner;
  const others = await Promise.all(losers.map((rev) => device.get(note._id, { rev })));
  const items = [...new Set([note, ...others].flatMap((doc) => doc.items))];
  const deletions = losers.map((_rev) => ({ _id: note._id, _rev, _deleted: true }));
  const [{ rev }] = await device.bulkDocs([{ ...note, items }, ...deletions]);
  return { rev, items };
}

function online(device) {
  return device.sync(url, { live: true, retry: true });
}

async function offline(sync) {
  const ended = new Promise((done) => sync.once('complete', done).once('error', done));
  sync.cancel();
  await ended;
}

/** The note on `device` as soon as it `accepts` it. */
function until(device, accepts) {
  const found = new Promise((resolve, reject) => {
    const look = async () => {
      const doc = await device.get('shopping', { conflicts: true }).catch(() => undefined);
      if (!doc || !accepts(doc)) return;
      feed.cancel();
      resolve(doc);
    };
    const feed = device.changes({ live: true, since: 0 }).on('change', look).on('error', reject);
  });
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`the devices didn't agree within ${EVENT_MS / 1000} s`)), EVENT_MS).unref();
  });
  return Promise.race([found, late]);
}

async function load() {
  try {
    const [{ default: PouchDB }, { default: memory }] = await Promise.all([
      import('pouchdb'),
      import('pouchdb-adapter-memory'),
    ]);
    return PouchDB.plugin(memory);
  } catch (error) {
    return fail(`PouchDB isn't installed (${error.code}): run \`npm ci\` in ${import.meta.dirname ?? 'e2e'} first`);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
