// The real `tidegate` binary as a value: started on a folder and a port of its own, killed, restarted on the same ones.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from './deadline.mjs';

const START_MS = 20_000;
const STOP_MS = 20_000;
const REQUEST_MS = 30_000;
const LOG_LINES_MAX = 400;
const started = new Set();

process.on('exit', () => {
  for (const server of started) {
    server.child?.kill('SIGKILL');
    if (server.root) rmSync(server.root, { recursive: true, force: true });
  }
});
// The test runner ends a file that hangs this way; its server must not live on.
process.on('SIGTERM', () => process.exit(1));

export class Server {
  /**
   * A running server on an empty folder. `folder` names another server's folder instead; `gateway` has it listen for
   * Sync Gateway's clients, too, as its version `profile`: at `gateway` for users, and at `admin`.
   */
  static async start({ folder, gateway = false, profile = '4' } = {}) {
    const root = folder === undefined ? await mkdtemp(join(tmpdir(), 'tidegate-e2e-')) : undefined;
    const server = new Server(root, folder ?? join(root, 'data'));
    server.hasGateway = gateway;
    server.profile = profile;
    started.add(server);
    try {
      await server.#spawn('127.0.0.1:0');
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  constructor(root, folder) {
    this.root = root;
    this.folder = folder;
    this.log = [];
    this.names = 0;
  }

  /** The running process. */
  get pid() {
    return this.child.pid;
  }

  /** The URL of a database nobody else uses; it doesn't exist yet. */
  fresh(name) {
    this.names += 1;
    return `${this.url}/${name}-${this.names}`;
  }

  /** One request; a plain object as `body` is sent as JSON, and a JSON answer comes back parsed (any other as bytes). */
  async request(method, url, { headers = {}, body, signal } = {}) {
    const plain = body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
    const response = await fetch(url.startsWith('/') ? this.url + url : url, {
      method,
      headers: { accept: 'application/json', ...(plain && { 'content-type': 'application/json' }), ...headers },
      body: plain ? JSON.stringify(body) : body,
      signal: signal ?? AbortSignal.timeout(REQUEST_MS),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const json = /^application\/json/.test(response.headers.get('content-type') ?? '') && bytes.length > 0;
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(bytes.toString()) : bytes };
  }

  /** Like `request`, but any status other than `status` fails the test with the answer shown. Gives the body. */
  async expect(status, method, url, options) {
    const answer = await this.request(method, url, options);
    const shown = Buffer.isBuffer(answer.body) ? answer.body.toString() : JSON.stringify(answer.body);
    assert.equal(answer.status, status, `${method} ${url} answered ${answer.status}: ${shown.slice(0, 500)}`);
    return answer.body;
  }

  /** Power off for this process: SIGKILL, and gone when this returns. */
  async kill() {
    if (!this.child) return;
    this.isExpectedToEnd = true;
    this.child.kill('SIGKILL');
    await this.exited;
    this.child = undefined;
  }

  /** Like `kill`, by somebody else: resolves once the process is gone. */
  async killed() {
    this.isExpectedToEnd = true;
    await within(STOP_MS, 'the server to be killed', this.exited);
    this.child = undefined;
  }

  /** SIGTERM; resolves with the exit code. */
  async stop() {
    this.isExpectedToEnd = true;
    this.child.kill('SIGTERM');
    const code = await within(STOP_MS, 'the server to end after SIGTERM', this.exited);
    this.child = undefined;
    return code;
  }

  /** Starts again on the same folder and the same port, after `kill` or `stop`. */
  async restart() {
    assert.equal(this.child, undefined, 'restart needs a stopped server');
    await this.#spawn(new URL(this.url).host);
  }

  /** Ends the server, if it runs, and removes its folder. */
  async remove() {
    await this.kill();
    started.delete(this);
    if (this.root) await rm(this.root, { recursive: true, force: true });
  }

  tail() {
    return `--- the server's last lines (${this.url})\n${this.log.join('\n')}\n`;
  }

  async #spawn(address) {
    const host = (url) => (url === undefined ? '127.0.0.1:0' : new URL(url).host);
    const gateway = this.hasGateway ? [host(this.gateway), host(this.admin)] : ['off', 'off'];
    const others = ['--gateway', gateway[0], '--admin', gateway[1], '--metrics', 'off', '--jobs', 'off'];
    if (this.hasGateway) others.push('--profile', this.profile);
    const child = spawn(binary(), ['dev', '--data', this.folder, '--couch', address, ...others], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.isExpectedToEnd = false;
    this.exited = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        if (!this.isExpectedToEnd)
          process.stderr.write(`the server ended by itself with ${code ?? signal}\n${this.tail()}`);
        resolve(code ?? signal);
      });
      child.on('error', (error) => resolve(error.message));
    });
    const ready = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.#note(line);
        const printed = /^couch\s+(http:\/\/\S+)/.exec(line);
        if (printed) this.url = printed[1].replace(/\/$/, '');
        const other = /^(gateway|admin)\s+(http:\/\/\S+)/.exec(line);
        if (other) this[other[1]] = other[2].replace(/\/$/, '');
        if (line.trim() === 'ready') resolve();
      });
    });
    createInterface({ input: child.stderr }).on('line', (line) => this.#note(line));
    const ended = this.exited.then((code) => Promise.reject(new Error(`the server ended with ${code}`)));
    ended.catch(() => {});
    await within(START_MS, 'the server to print `ready`', Promise.race([ready, ended]));
    assert.ok(this.url, `no line \`couch http://…\` before \`ready\`\n${this.tail()}`);
  }

  #note(line) {
    this.log.push(line);
    if (this.log.length > LOG_LINES_MAX) this.log.shift();
  }
}

function binary() {
  const path = process.env.TIDEGATE_BIN ?? fileURLToPath(new URL('../target/debug/tidegate', import.meta.url));
  if (!existsSync(path)) {
    throw new Error(`no binary at ${path}: \`cargo build -p tidegate-server\`, or set TIDEGATE_BIN`);
  }
  return path;
}
