// A continuous or eventsource feed as the values a client sees, line by line.

import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { within } from './deadline.mjs';

const LINE_MS = 20_000;

/** An open streaming feed; `next` gives one line, `rows` the changes of a continuous one. */
export class Feed {
  static async open(url, headers = {}) {
    const aborting = new AbortController();
    const response = await within(LINE_MS, `headers of ${url}`, fetch(url, { headers, signal: aborting.signal }));
    return new Feed(response, aborting);
  }

  constructor(response, aborting) {
    this.response = response;
    this.aborting = aborting;
    this.lines = createInterface({ input: Readable.fromWeb(response.body) })[Symbol.asyncIterator]();
  }

  /** The next line without its end, or undefined when the feed has ended. */
  async next() {
    const { value, done } = await within(LINE_MS, 'a line of the feed', this.lines.next());
    return done ? undefined : value;
  }

  /** The next line that isn't a heartbeat, as JSON. */
  async row() {
    for (;;) {
      const line = await this.next();
      if (line === undefined) return undefined;
      if (line !== '') return JSON.parse(line);
    }
  }

  /** The next event of an eventsource feed as { event, data, id }. */
  async event() {
    const fields = {};
    for (;;) {
      const line = await this.next();
      if (line === undefined) return undefined;
      if (line === '' && Object.keys(fields).length > 0) return fields;
      if (line !== '') fields[line.slice(0, line.indexOf(':'))] = line.slice(line.indexOf(':') + 1).trim();
    }
  }

  close() {
    this.aborting.abort();
  }
}
