// What does the gateway answer?

import { randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import fastify from 'fastify';
import { AgentRegistry, open as openBase } from 'quorate';

import { Cache } from './engine/cache.js';
import { Engines } from './engine/registry.js';
import { Refused, problem } from './errors.js';
import { Flows } from './flows.js';
import { Identity } from './identity.js';
import { Buckets, Open, tooMany } from './limits.js';
import { Metrics } from './metrics.js';
import { asking } from './routes/asking.js';
import { engine } from './routes/engine.js';
import { experts } from './routes/experts.js';
import { knowledge } from './routes/knowledge.js';
import { health, system } from './routes/system.js';
import { workflows } from './routes/workflows.js';
import { DEFAULTS } from './settings.js';
import { socket } from './socket.js';
import { Tenants } from './tenants.js';

const PUBLIC = new URL('../public/', import.meta.url);

/** What the files of the page are. @type {Record<string, string>} */
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' };

/** What the page may load and do: what lies here, and nothing else. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/** The longest address. */
const LONGEST_URL = 12_000;

/** How often a second somebody may fail to log in from one address, and how often at once. */
const FAILURES = /** @type {const} */ ([0.5, 30]);

/**
 * The gateway over the knowledge base in a folder. `close` ends what runs, then lets go of the files.
 *
 * @param {Partial<import('./settings.js').Settings> & { folder: string }} given
 */
export async function createApp(given) {
  const settings = { ...DEFAULTS, ...given };
  const { folder, catalog, readOnly, log } = settings;
  const identity = await Identity.open(settings);
  const kb = await openBase(join(folder, 'kb'), { readOnly });
  // Readers know the shipped agents alone: the file belongs to the writer.
  const registry = await AgentRegistry.open({ path: readOnly ? null : join(folder, 'agents.redb'), catalog });
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const tenants = new Tenants({ settings, kb, registry });
  const metrics = new Metrics();
  const open = new Open(settings.streams);
  const flows = new Flows(settings, open, metrics);
  const engines = new Engines(settings);
  const cache = new Cache(settings.cacheBytes);
  const buckets = new Buckets(settings.rate, settings.burst);
  const failures = new Buckets(...FAILURES);
  /** @type {import('./routes/common.js').Services} */
  const services = { settings, kb, registry, identity, tenants, buckets, open, metrics, flows, engines, cache, delay };
  metrics.gauge('quorate_streams_open', 'Streams and sockets that are open.', () => open.size);
  metrics.gauge('quorate_tenants_open', 'Tenants whose handles are open.', () => tenants.size);
  metrics.gauge('quorate_sessions', 'Sessions.', () => identity.sessions.size);
  metrics.gauge('quorate_cache_bytes', "Bytes of engines' answers that are kept.", () => cache.bytes);
  metrics.gauge('quorate_engines_fit', 'Engines that may be asked.', () => engines.fit().length);

  const app = fastify({
    // What is asked for is told by its route: addresses hold questions and ids.
    logger: log ? { serializers: { req: (request) => ({ method: request.method, route: request.routeOptions?.url ?? 'unknown' }) } } : false,
    forceCloseConnections: 'idle',
    bodyLimit: settings.bodyLimit,
    requestTimeout: settings.requestSeconds * 1000,
    keepAliveTimeout: 15_000,
    routerOptions: { maxParamLength: 1024 },
    genReqId: ({ headers }) => correlation(headers['x-correlation-id']),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: 'array', allowUnionTypes: true } },
    http: { maxHeaderSize: 16_384, headersTimeout: settings.headersSeconds * 1000, connectionsCheckingInterval: 1000 },
    frameworkErrors: (/** @type {any} */ error, request, reply) => {
      const { status, body } = problem(error);
      return /** @type {any} */ (reply).code(status).type('application/problem+json').send(JSON.stringify({ ...body, correlationId: request.id }));
    },
    clientErrorHandler: (error, raw) => {
      // What is no HTTP gets a last word, where somebody can hear it.
      const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[/** @type {string} */ (error.code)] ?? 400;
      if (raw.writable && !raw.destroyed) {
        const { body } = problem(Object.assign(new Error(status === 431 ? 'the headers are too large' : status === 408 ? 'the request did not come in time' : 'the request is no HTTP'), { statusCode: status }));
        const text = JSON.stringify(body);
        raw.write(`HTTP/1.1 ${status} ${body.title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`);
      }
      raw.destroy();
    },
  });
  app.server.maxConnections = 4096;

  app.setErrorHandler((/** @type {Error} */ error, request, reply) => {
    const { status, body } = problem(error);
    if (status >= 500) request.log.error(error);
    metrics.refused.inc({ code: body.code });
    if (error instanceof Refused) reply.headers(error.headers);
    return reply.code(status).type('application/problem+json').send(JSON.stringify({ ...body, correlationId: request.id }));
  });
  app.setNotFoundHandler((request) => {
    throw new Refused(404, 'not_found', `there is no ${request.method} ${(request.url.split('?')[0] ?? '').slice(0, 200)}`);
  });

  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-correlation-id': request.id,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': POLICY,
      'cross-origin-resource-policy': 'same-origin',
      'x-frame-options': 'DENY',
    });
    if ((request.raw.url?.length ?? 0) > LONGEST_URL) throw new Refused(414, 'too_large', `the address has more than ${LONGEST_URL} characters`);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.requests.inc({ method: request.method, route, status: reply.statusCode });
    metrics.seconds.observe({ route }, reply.elapsedTime / 1000);
  });
  app.decorateRequest('caller', null);
  app.decorateRequest('tenant', null);

  /** Who asks is known before a body is read. @param {import('fastify').FastifyRequest} request */
  const identified = async (request) => {
    const caller = await identity.caller(request.raw).catch((error) => {
      // Who guesses is slowed; who is known behind the same address is not.
      const wait = error instanceof Refused && error.statusCode === 401 ? failures.take(request.ip) : 0;
      throw wait > 0 ? tooMany(wait) : error;
    });
    const full = buckets.take(caller.tenant);
    if (full > 0) throw tooMany(full);
    /** @type {any} */ (request).caller = caller;
  };
  /** @param {import('fastify').FastifyRequest} request @param {import('fastify').FastifyReply} reply */
  const held = async (request, reply) => {
    const tenant = await tenants.hold(/** @type {any} */ (request).caller.tenant);
    /** @type {any} */ (request).tenant = tenant;
    let left = false;
    const leave = () => {
      if (!left) tenant.held -= 1;
      left = true;
    };
    if (reply.raw.closed) leave();
    else reply.raw.once('close', leave);
  };

  const versioned = { prefix: '/v1' };
  for (const prefix of ['', '/v1']) await app.register((scope) => health(scope, services), { prefix });
  await app.register(async (scope) => {
    scope.addHook('onRequest', identified);
    await scope.register((inner) => system(inner, services), versioned);
    await scope.register((inner) => engine(inner, services));
    await scope.register(async (inner) => {
      inner.addHook('onRequest', held);
      // Without a version, as the first gateway had them.
      for (const routes of [knowledge, experts]) for (const prefix of ['', '/v1']) await inner.register((one) => routes(one, services), { prefix });
      for (const routes of [asking, workflows]) await inner.register((one) => routes(one, services), versioned);
    });
  });
  for (const file of await readdir(PUBLIC)) {
    const type = TYPES[file.split('.').at(-1) ?? ''];
    if (!type) continue;
    const content = await readFile(new URL(file, PUBLIC));
    app.get(file === 'index.html' ? '/' : `/${file}`, (_, reply) => reply.type(type).header('cache-control', 'no-cache').send(content));
  }

  app.addHook('preClose', async () => {
    // What is asked now is waited for; what takes longer stays as it is in its journal, or is cancelled.
    if (await flows.ended(settings.graceSeconds)) return;
    settings.stuck?.();
    flows.stop();
    await flows.ended(5);
  });
  // Sockets end behind what goes over them.
  socket(app, services);
  app.addHook('onClose', async () => {
    delay.disable();
    engines.stop();
    await tenants.close(settings.graceSeconds);
    await registry.close();
    await kb.close();
  });
  app.addHook('onReady', async () => {
    await tenants.recover();
    engines.start();
  });
  return app;
}

/** @param {string | string[] | undefined} given */
function correlation(given) {
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : randomUUID();
}
