// What the Python engines answer: /engine/PATH is PATH of one of them.

import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Transform, pipeline } from 'node:stream';

import { Refused } from '../errors.js';
import { LARGEST, freshness, keyOf } from '../engine/cache.js';
import { headersOf } from '../flows.js';
import { callerOf } from './common.js';

/** What concerns one connection alone (RFC 9110, 7.6.1), and what engines are not to see or to say. */
const OWN = new Set(['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'host', 'expect']);
const NOT_TOLD = new Set([...OWN, 'cookie', 'authorization', 'x-tenant', 'x-user', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-correlation-id', 'x-real-ip', 'x-roles', 'x-original-url', 'x-rewrite-url', 'x-http-method-override', 'content-length']);
const NOT_GIVEN = new Set([...OWN, 'set-cookie', 'content-security-policy', 'strict-transport-security', 'access-control-allow-origin', 'access-control-allow-credentials', 'x-correlation-id', 'server']);

/** What engines answer is data: no page of theirs runs with the gateway's sessions. */
const SANDBOX = "default-src 'none'; frame-ancestors 'none'; sandbox";

/** What may be asked of another engine where the first could not be reached: nothing has happened then, or it may happen twice. */
const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function engine(app, { settings, engines, cache, metrics }) {
  const agents = { 'http:': new HttpAgent({ keepAlive: true, maxSockets: 256 }), 'https:': new HttpsAgent({ keepAlive: true, maxSockets: 256 }) };
  app.addHook('onClose', async () => {
    engines.stop();
    agents['http:'].destroy();
    agents['https:'].destroy();
  });
  // Bodies go through as they are.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));

  app.all('/engine/*', { bodyLimit: settings.documentsLimit }, async (request, reply) => {
    const caller = callerOf(request);
    const path = pathOf(/** @type {string} */ (request.raw.url));
    if (engines.all.length === 0) throw new Refused(404, 'not_found', 'no engine is set up; QUORATE_ENGINES names them');
    const key = request.method === 'GET' ? keyOf(caller.tenant, path, `${request.headers.accept ?? ''}\n${request.headers['accept-encoding'] ?? ''}`) : null;
    const fresh = request.headers['cache-control']?.includes('no-cache') || request.headers.range;
    const known = key === null || fresh ? undefined : cache.get(key);
    if (known) return reply.code(known.status).headers(known.headers).header('content-security-policy', SANDBOX).header('age', String(known.age)).header('x-cache', 'hit').send(known.body);
    const writes = !SAFE.includes(request.method);
    if (writes) {
      cache.forget(caller.tenant);
      // What was asked before the write had ended is not kept either.
      reply.raw.once('close', () => cache.forget(caller.tenant));
    }
    const generation = cache.generation;

    /** @type {import('../engine/registry.js').Engine[]} */
    const tried = [];
    const again = SAFE.includes(request.method) && request.body === undefined;
    for (;;) {
      const one = engines.next(tried);
      const tell = one?.breaker.enter();
      if (!one || !tell) {
        metrics.engineRequests.inc({ outcome: 'none_fit' });
        const code = tried.length > 0 ? new Refused(502, 'remote_failed', 'the engines do not answer') : new Refused(503, 'circuit_open', 'no engine is fit at present', { 'retry-after': String(Math.ceil(settings.breakerSeconds)) });
        throw code;
      }
      tried.push(one);
      one.active += 1;
      const ended = () => {
        one.active -= 1;
      };
      try {
        const answer = await send(one, request, reply, caller, path);
        const status = answer.statusCode ?? 502;
        // 501 and 505 are answers of a service that is well.
        const sick = [500, 502, 503, 504].includes(status);
        metrics.engineRequests.inc({ outcome: sick ? 'failed' : 'answered' });
        if (sick) tell('bad');
        if (sick && again && engines.next(tried)) {
          answer.resume();
          ended();
          continue;
        }
        if (writes) cache.forget(caller.tenant);
        give(answer, reply, status, key, tell, ended, () => cache.generation === generation);
        return reply;
      } catch (error) {
        ended();
        const hung = reply.raw.destroyed || error instanceof TooLarge;
        tell(hung ? 'unknown' : 'bad');
        if (error instanceof TooLarge) throw new Refused(413, 'too_large', `the body has more than ${settings.documentsLimit} bytes`);
        if (hung) return reply;
        const late = /** @type {any} */ (error).code === 'late';
        metrics.engineRequests.inc({ outcome: late ? 'late' : 'unreachable' });
        if (again && engines.next(tried)) continue;
        request.log.warn(error);
        if (late) throw new Refused(504, 'timeout', 'the engine did not answer in time');
        throw new Refused(502, 'remote_failed', 'the engine cannot be reached');
      }
    }
  });

  /**
   * @param {import('../engine/registry.js').Engine} one
   * @param {import('fastify').FastifyRequest} request
   * @param {import('fastify').FastifyReply} reply
   * @param {import('../identity.js').Caller} caller
   * @param {string} path
   * @returns {Promise<import('node:http').IncomingMessage>}
   */
  function send(one, request, reply, caller, path) {
    const named = new Set((request.headers.connection ?? '').toLowerCase().split(',').map((name) => name.trim()));
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !name.includes('_') && !name.startsWith('x-forwarded-') && !NOT_TOLD.has(name) && !named.has(name)));
    headers['x-tenant'] = caller.tenant;
    headers['x-user'] = encodeURIComponent(caller.user);
    headers['x-correlation-id'] = request.id;
    if (caller.token !== null) headers['authorization'] = `Bearer ${caller.token}`;
    const body = /** @type {import('node:stream').Readable | undefined} */ (request.body);
    const length = request.headers['content-length'];
    if (body && length !== undefined) headers['content-length'] = length;
    const secure = one.url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const out = (secure ? httpsRequest : httpRequest)({
        agent: secure ? agents['https:'] : agents['http:'],
        hostname: one.url.hostname.replace(/^\[|\]$/g, ''),
        port: one.url.port || (secure ? 443 : 80),
        method: request.method,
        path: one.url.pathname.replace(/\/$/, '') + path,
        headers,
        timeout: settings.engineSeconds * 1000,
      });
      out.once('response', (answer) => resolve(answer));
      out.on('error', reject);
      out.once('timeout', () => out.destroy(Object.assign(new Error('the engine says nothing'), { code: 'late' })));
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) out.destroy(new Error('the client is gone'));
      });
      if (body) pipeline(body, bounded(settings.documentsLimit), out, (error) => error && reject(error));
      else out.end();
    });
  }

  /**
   * Hands an answer on, as fast as the client reads, and keeps it where it may be kept.
   *
   * @param {import('node:http').IncomingMessage} answer
   * @param {import('fastify').FastifyReply} reply
   * @param {number} status
   * @param {string | null} key
   * @param {(outcome: 'good' | 'bad' | 'unknown') => void} tell
   * @param {() => void} ended
   * @param {() => boolean} current Whether nothing was written since it was asked for.
   */
  function give(answer, reply, status, key, tell, ended, current) {
    const named = new Set((answer.headers.connection ?? '').toLowerCase().split(',').map((name) => name.trim()));
    /** @type {Record<string, string | string[]>} */
    const headers = {};
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && !NOT_GIVEN.has(name) && !named.has(name)) headers[name] = value;
    }
    const seconds = key === null ? 0 : freshness(status, answer.headers);
    /** @type {Buffer[] | null} */
    let kept = seconds > 0 ? [] : null;
    let size = 0;
    const copy = new Transform({
      transform(/** @type {Buffer} */ chunk, _, done) {
        size += chunk.length;
        if (size > LARGEST) kept = null;
        kept?.push(chunk);
        done(null, chunk);
      },
    });
    reply.hijack();
    reply.raw.writeHead(status, { ...headersOf(reply), ...headers, 'content-security-policy': SANDBOX, 'x-cache': 'miss' });
    let before = -1;
    const stall = setInterval(() => {
      const written = reply.raw.socket?.bytesWritten ?? -1;
      if (reply.raw.writableNeedDrain && written === before) {
        metrics.cut.inc();
        reply.raw.destroy();
      }
      before = written;
    }, settings.stallSeconds * 1000);
    stall.unref();
    // Whose fault it is where it ends before its time: the engine's, unless the client has gone.
    let broken = false;
    answer.once('error', () => {
      broken = !reply.raw.destroyed;
    });
    pipeline(answer, copy, reply.raw, (error) => {
      clearInterval(stall);
      ended();
      if (!error) {
        tell('good');
        if (kept && key !== null && current()) cache.put(key, { status, headers, body: Buffer.concat(kept) }, seconds);
      } else {
        tell(broken ? 'bad' : 'unknown');
        reply.raw.destroy();
      }
    });
  }
}

class TooLarge extends Error {}

/** @param {number} most */
function bounded(most) {
  let size = 0;
  return new Transform({
    transform(/** @type {Buffer} */ chunk, _, done) {
      size += chunk.length;
      if (size > most) done(new TooLarge('the body is too large'));
      else done(null, chunk);
    },
  });
}

/** The path behind /engine, as it was sent. One that could mean another place to somebody else is refused. @param {string} url */
function pathOf(url) {
  // A request line may name a whole address instead of a path.
  if (!url.startsWith('/engine/')) throw new Refused(400, 'invalid_request', 'the path is not one that engines are asked for');
  const path = url.slice('/engine'.length);
  const [route = ''] = path.split('?');
  const bad = /%2e|%2f|%5c|%00|\\|\/\/|[^\x21-\x7e]|#/i.test(route) || /(^|\/)\.\.?(\/|$)/.test(route) || /[^\x21-\x7e]|#/.test(path);
  if (bad) throw new Refused(400, 'invalid_request', 'the path is not one that engines are asked for');
  return path;
}
