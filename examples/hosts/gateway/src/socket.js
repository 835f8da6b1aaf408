// What goes over a WebSocket: questions, panels, searches and streams of workflows, several at a time.

import { Ajv } from 'ajv';
import { WebSocket, WebSocketServer } from 'ws';

import { Refused, problem } from './errors.js';
import { sameOrigin } from './identity.js';
import { tooMany } from './limits.js';
import { askBody, panelBody } from './schemas/asking.js';
import { SlowClient, plain } from './streams.js';

const PATH = '/v1/socket';

/** The longest message, in bytes. */
const LONGEST = 256 << 10;

/** What one socket has under way at most. */
const AT_ONCE = 8;

/** How often a socket may say what nobody understands. */
const MISTAKES = 10;

const HEARTBEAT = 30_000;

/** By which codes sockets are closed (4000 to 4999 are an application's own). */
export const CLOSE = { ended: 1001, unsupported: 1003, mistakes: 4000, slow: 4008 };

const id = { type: 'string', minLength: 1, maxLength: 64 };
const ajv = new Ajv({ strict: false, discriminator: true });
const envelope = (/** @type {string} */ type, /** @type {any} */ body) =>
  ajv.compile({ ...body, required: ['id', 'type', ...(body.required ?? [])], properties: { ...body.properties, id, type: { const: type } } });
/** @type {Record<string, ((given: any) => boolean) & { errors?: any }>} */
const CHECKS = {
  ask: envelope('ask', askBody),
  panel: envelope('panel', panelBody),
  workflow: envelope('workflow', { type: 'object', additionalProperties: false, required: ['run'], properties: { run: { type: 'string', maxLength: 200 }, after: { type: 'integer', minimum: 0 } } }),
  search: envelope('search', { type: 'object', additionalProperties: false, required: ['q'], properties: { q: { type: 'string', minLength: 1, maxLength: 10_000 }, k: { type: 'integer', minimum: 1, maximum: 1000 }, where: { type: 'string', maxLength: 10_000 } } }),
  cancel: envelope('cancel', { type: 'object', additionalProperties: false, properties: {} }),
};

/** @param {import('fastify').FastifyInstance} app @param {import('./routes/common.js').Services} services */
export function socket(app, services) {
  const { identity, buckets, open, metrics, tenants } = services;
  const server = new WebSocketServer({ noServer: true, maxPayload: LONGEST, perMessageDeflate: false, clientTracking: true, autoPong: false });

  app.server.on('upgrade', (request, raw, head) => {
    raw.on('error', () => raw.destroy());
    void admit(request).then(
      (admitted) => {
        if (raw.destroyed) return admitted.leave();
        // Also where the handshake goes no further.
        raw.once('close', admitted.leave);
        server.handleUpgrade(request, raw, head, (ws) => void new Talk(ws, admitted, services, app.log));
      },
      (error) => {
        const { status, body } = problem(error);
        const text = JSON.stringify(body);
        const more = Object.entries(error instanceof Refused ? error.headers : {}).map(([name, value]) => `${name}: ${value}\r\n`).join('');
        raw.end(`HTTP/1.1 ${status} ${body.title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n${more}\r\n${text}`);
        metrics.refused.inc({ code: body.code });
      },
    );
  });
  app.addHook('preClose', async () => {
    for (const ws of server.clients) ws.close(CLOSE.ended, 'closing');
    setTimeout(() => {
      for (const ws of server.clients) ws.terminate();
    }, 1000).unref();
  });

  /** @param {import('node:http').IncomingMessage} request */
  async function admit(request) {
    const url = new URL(request.url ?? '/', 'http://gateway');
    if (url.pathname !== PATH) throw new Refused(404, 'not_found', `there is no socket at ${url.pathname.slice(0, 200)}`);
    sameOrigin(request);
    // Browsers cannot say headers here: without logins the tenant stands in the address.
    const named = identity.open ? url.searchParams.get('tenant') : null;
    const headers = named === null ? request.headers : { ...request.headers, 'x-tenant': named };
    const caller = await identity.caller({ headers });
    const wait = buckets.take(caller.tenant);
    if (wait > 0) throw tooMany(wait);
    const release = open.enter(caller.tenant);
    try {
      const tenant = await tenants.hold(caller.tenant);
      let left = false;
      const leave = () => {
        if (left) return;
        left = true;
        release();
        tenant.held -= 1;
      };
      return { caller, tenant, leave };
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** One socket. */
class Talk {
  /** @type {Map<string, { cancel(): void }>} */
  #tasks = new Map();
  #mistakes = 0;
  #alive = true;

  /**
   * @param {WebSocket} ws
   * @param {{ caller: import('./identity.js').Caller, tenant: import('./tenants.js').Tenant, leave: () => void }} admitted
   * @param {import('./routes/common.js').Services} services
   * @param {import('fastify').FastifyBaseLogger} log
   */
  constructor(ws, admitted, services, log) {
    this.ws = ws;
    this.admitted = admitted;
    this.services = services;
    this.log = log;
    ws.on('message', (data, binary) => this.#message(data, binary));
    // Answers to pings are not heaped up for whom does not read.
    ws.on('ping', (data) => {
      if (ws.bufferedAmount < 65_536) ws.pong(data, false, () => {});
    });
    ws.on('pong', () => {
      this.#alive = true;
    });
    ws.on('error', (error) => log.info(error, 'socket'));
    const beat = setInterval(() => {
      if (!this.#alive) return ws.terminate();
      this.#alive = false;
      ws.ping(undefined, false, () => {});
    }, HEARTBEAT);
    beat.unref();
    const until = admitted.caller.until;
    const over = until === null ? undefined : setTimeout(() => ws.close(CLOSE.ended, 'the login is over'), Math.min(0x7fffffff, Math.max(0, until * 1000 - Date.now())));
    over?.unref();
    ws.once('close', () => {
      clearInterval(beat);
      clearTimeout(over);
      for (const task of this.#tasks.values()) task.cancel();
      admitted.leave();
    });
  }

  /** @param {import('ws').RawData} data @param {boolean} binary */
  #message(data, binary) {
    if (binary) return this.ws.close(CLOSE.unsupported, 'messages are text');
    /** @type {any} */
    let given;
    try {
      given = JSON.parse(String(data));
    } catch {
      return this.#mistake(null, 'the message is no JSON');
    }
    const known = typeof given?.id === 'string' ? given.id.slice(0, 64) : null;
    const check = Object.hasOwn(CHECKS, given?.type) ? CHECKS[given.type] : undefined;
    if (!check) return this.#mistake(known, `a message has a type: ${Object.keys(CHECKS).join(', ')}`);
    if (!check(given)) return this.#mistake(known, `message${ajv.errorsText(check.errors, { dataVar: '' })}`);
    if (given.type === 'cancel') return void this.#tasks.get(given.id)?.cancel();
    if (this.#tasks.has(given.id)) return this.#mistake(known, `'${given.id}' is under way already`);
    const wait = this.services.buckets.take(this.admitted.caller.tenant);
    if (wait > 0) return this.#refuse(given.id, tooMany(wait));
    if (this.#tasks.size >= AT_ONCE) return this.#refuse(given.id, new Refused(429, 'too_many_streams', `${AT_ONCE} at once are allowed`));
    void this.#run(given);
  }

  /** @param {any} given */
  async #run({ id: task, type, stream: _, ...rest }) {
    let cancelled = false;
    /** @type {{ cancel(): void }} */
    const entry = { cancel: () => (cancelled = true) };
    this.#tasks.set(task, entry);
    try {
      const { tenant } = this.admitted;
      if (type === 'search') {
        const { q, ...options } = rest;
        const hits = await tenant.kb.search(q, options);
        await this.#say({ id: task, event: { type: 'hits', hits: hits.map((hit) => hit.toJSON()) } });
      } else {
        const { runtime, engine } = await tenant.asking();
        const { question, run, after, ...options } = rest;
        const source = type === 'ask' ? runtime.stream.ask(question, options) : type === 'panel' ? runtime.stream.panel(question, options) : (await engine.run(run)).stream({ start: (after ?? 0) + 1 });
        if (cancelled) await source.return().catch(() => {});
        // What was asked is cancelled; of a workflow only the watching ends.
        entry.cancel = () => (type === 'workflow' || this.ws.readyState !== WebSocket.OPEN ? void source.return().catch(() => {}) : source.cancel());
        await this.services.flows.run({ cancel: () => source.cancel() }, type === 'workflow', async () => {
          try {
            for await (const event of source) await this.#say({ id: task, event: plain(event) });
          } finally {
            await source.return().catch(() => {});
          }
        });
      }
      await this.#say({ id: task, done: true });
    } catch (error) {
      if (error instanceof SlowClient) this.#slow(error);
      else this.#refuse(task, /** @type {Error} */ (error));
    } finally {
      this.#tasks.delete(task);
    }
  }

  /** Sends, and waits until the connection has taken it. @param {unknown} message @returns {Promise<void>} */
  #say(message) {
    const { stallSeconds } = this.services.settings;
    return new Promise((resolve, reject) => {
      if (this.ws.readyState !== WebSocket.OPEN) return reject(new SlowClient('the client is gone'));
      const timer = setTimeout(() => reject(new SlowClient(`the client has read nothing for ${stallSeconds} s`)), stallSeconds * 1000);
      this.ws.send(JSON.stringify(message), (error) => {
        clearTimeout(timer);
        if (error) reject(new SlowClient('the client is gone'));
        else resolve();
      });
    });
  }

  /** @param {SlowClient} error */
  #slow(error) {
    if (this.ws.readyState !== WebSocket.OPEN) return;
    this.services.metrics.cut.inc();
    this.log.info({ code: error.code }, error.message);
    this.ws.close(CLOSE.slow, 'slow_client');
    setTimeout(() => this.ws.terminate(), 2000).unref();
  }

  /** @param {string | null} task @param {string} message */
  #mistake(task, message) {
    this.#mistakes += 1;
    if (this.#mistakes > MISTAKES) return this.ws.close(CLOSE.mistakes, 'too many messages that nobody understands');
    this.#refuse(task, new Refused(422, 'invalid_request', message));
  }

  /** A client that does not read is not told what it has done wrong. @param {string | null} task @param {Error} error */
  #refuse(task, error) {
    if (this.ws.readyState !== WebSocket.OPEN || this.ws.bufferedAmount > LONGEST) return;
    this.ws.send(JSON.stringify({ id: task, problem: problem(error).body }), () => {});
  }
}
