// Waiting for things to happen, with a deadline and never by sleeping.

/** `promise`, or an error that names `what` was awaited once `ms` have passed. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The next `name` event of `emitter` that `accepts` its value; an `error` event rejects. */
export function event(emitter, name, accepts = () => true) {
  return new Promise((resolve, reject) => {
    const done = () => {
      emitter.removeListener(name, onEvent);
      emitter.removeListener('error', onError);
    };
    const onEvent = (value) => {
      if (!accepts(value)) return;
      done();
      resolve(value);
    };
    const onError = (error) => {
      done();
      reject(error);
    };
    emitter.on(name, onEvent);
    emitter.on('error', onError);
  });
}

/**
 * The first truthy answer of `check`, asked at once and again after each change that the live feeds of `databases`
 * (PouchDBs) report. Checks never overlap; a change during one is followed by another.
 */
export async function eventually(ms, what, databases, check) {
  let stale = false;
  let wake = () => {};
  const changed = () => {
    stale = true;
    wake();
  };
  const feeds = [];
  for (const database of databases) {
    // From a sequence read before the first check: a feed that starts later still reports what came in between.
    const { update_seq: since } = await database.info();
    feeds.push(database.changes({ live: true, since }).on('change', changed));
  }
  const broken = new Promise((_, reject) => feeds.forEach((feed) => feed.once('error', reject)));
  let over = false;
  const answered = async () => {
    while (!over) {
      stale = false;
      const answer = await check();
      if (answer) return answer;
      if (!stale) await new Promise((resolve) => (wake = resolve));
    }
    return undefined;
  };
  try {
    return await within(ms, what, Promise.race([answered(), broken]));
  } finally {
    over = true;
    wake();
    for (const feed of feeds) feed.cancel();
  }
}
