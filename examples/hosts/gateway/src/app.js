// What does the gateway answer?

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import fastify from 'fastify';
import { AgentRegistry, NotFound, consensus, open, version } from 'quorate';

import { problem } from './errors.js';
import * as schemas from './schemas.js';

/** How many tenants' handles are kept; the one unused for longest is let go of. */
const TENANTS_OPEN = 256;

const PUBLIC = new URL('../public/', import.meta.url);
const PAGE = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/explorer.css', 'explorer.css', 'text/css; charset=utf-8'],
  ['/explorer.js', 'explorer.js', 'text/javascript; charset=utf-8'],
];

/**
 * @typedef {object} Settings
 * @property {string} folder Where the knowledge base and the registry lie.
 * @property {string | null} [catalog] The catalogue of agents: `healthcare`, a file, or null. Default `healthcare`.
 * @property {boolean} [readOnly] Whether the gateway only reads. Default false.
 * @property {boolean} [log] Whether requests are logged. Default false.
 */

/**
 * The gateway over the knowledge base in a folder. `close` ends what runs, then lets go of the files.
 *
 * @param {Settings} settings
 */
export async function createApp({ folder, catalog = 'healthcare', readOnly = false, log = false }) {
  const kb = await open(join(folder, 'kb'), { readOnly });
  // Readers know the shipped agents alone: the file belongs to the writer.
  const path = readOnly ? null : join(folder, 'agents.redb');
  const registry = await AgentRegistry.open({ path, catalog });
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  /** @type {Map<string, import('quorate').KnowledgeBase>} */
  const tenants = new Map();
  /** @type {Set<AbortController>} */
  const ingests = new Set();

  /** The knowledge base as the caller sees it. @param {import('fastify').FastifyRequest} request */
  async function tenant(request) {
    const name = String(request.headers['x-tenant']);
    const known = tenants.get(name) ?? (await kb.tenant(name));
    tenants.delete(name);
    tenants.set(name, known);
    for (const oldest of tenants.keys()) {
      if (tenants.size <= TENANTS_OPEN) break;
      tenants.delete(oldest);
    }
    return known;
  }

  /** Raised when the caller goes away before the answer. @param {import('fastify').FastifyReply} reply */
  function gone(reply) {
    const controller = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) controller.abort();
    });
    return controller.signal;
  }

  const app = fastify({ logger: log, forceCloseConnections: 'idle', bodyLimit: 64 << 20 });

  app.setErrorHandler((/** @type {Error} */ error, request, reply) => {
    const { status, body } = problem(error);
    if (status >= 500) request.log.error(error);
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ code: 'not_found', message: `there is no ${request.method} ${request.url.split('?')[0]}` }),
  );
  app.addHook('preClose', async () => {
    for (const ingest of ingests) ingest.abort();
  });
  app.addHook('onClose', async () => {
    delay.disable();
    await registry.close();
    await kb.close();
  });

  for (const [url, file, type] of PAGE) {
    const content = await readFile(new URL(file, PUBLIC));
    app.get(url, (_, reply) => reply.type(type).header('cache-control', 'no-cache').send(content));
  }

  app.get('/health', async () => ({
    status: 'ok',
    role: readOnly ? 'reader' : 'writer',
    version,
    documents: await kb.count(),
    loopDelayMs: { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
  }));

  app.post('/documents', { schema: schemas.write }, async (request, reply) => {
    const { documents, onConflict } = /** @type {any} */ (request.body);
    const own = await tenant(request);
    reply.code(201);
    return onConflict === 'replace' ? own.upsert(documents) : own.add(documents);
  });

  app.get('/documents/:id', { schema: schemas.byId }, async (request) => {
    const { id } = /** @type {any} */ (request.params);
    return (await tenant(request)).get(id);
  });

  app.delete('/documents/:id', { schema: schemas.byId }, async (request) => {
    const { id } = /** @type {any} */ (request.params);
    const deleted = await (await tenant(request)).delete({ ids: [id] });
    if (deleted === 0) throw new NotFound('unknown_id', `there is no document '${id}'`);
    return { deleted };
  });

  app.delete('/documents', { schema: schemas.byFilter }, async (request) => {
    const { where } = /** @type {any} */ (request.query);
    return { deleted: await (await tenant(request)).delete({ where }) };
  });

  app.get('/search', { schema: schemas.search }, async (request, reply) => {
    const { q, explain, groupBy, rerank, ...options } = /** @type {any} */ (request.query);
    const own = await tenant(request);
    const hits = await own.search(q, {
      ...options,
      groupBy: groupBy === 'none' ? null : groupBy,
      rerank: rerank === 'none' ? null : rerank,
      signal: gone(reply),
    });
    return { hits: hits.map((hit) => (explain ? { ...hit.toJSON(), explanation: hit.explain() } : hit.toJSON())) };
  });

  app.post('/context', { schema: schemas.context }, async (request, reply) => {
    const { question, maxTokens, where } = /** @type {any} */ (request.body);
    const own = await tenant(request);
    const { text, tokens, citations } = await own.context(question, { maxTokens, where, signal: gone(reply) });
    return { text, tokens, citations };
  });

  app.post('/match', { schema: schemas.match }, async (request) => {
    const { question, ...options } = /** @type {any} */ (request.body);
    const found = await registry.match(question, { ...options, tenant: String(request.headers['x-tenant']) });
    return { matches: found.map(matched) };
  });

  app.post('/panel', { schema: schemas.panel }, async (request) => {
    const { question, ...options } = /** @type {any} */ (request.body);
    const panel = await registry.selectPanel(question, { ...options, tenant: String(request.headers['x-tenant']) });
    const members = panel.members.map((member) => ({ ...matched(member), gain: member.gain, capabilities: member.capabilities }));
    return { members, coverage: panel.coverage, explanation: panel.explain() };
  });

  app.post('/consensus', { schema: schemas.consensus }, async (request) => {
    const { ballots, options, votes, method } = /** @type {any} */ (request.body);
    if (ballots) {
      const score = await consensus.scorePanel(ballots, { options });
      return { ...score, explanation: score.explain() };
    }
    /** @type {any[]} */
    const rows = votes;
    const columns = /** @type {const} */ ([rows.map((v) => v.item), rows.map((v) => v.rater), rows.map((v) => v.label)]);
    const [truth, alpha] = await Promise.all([
      consensus[/** @type {'dawidSkene'} */ (method)](...columns),
      consensus.krippendorffAlpha(...columns),
    ]);
    const { labels, probabilities, skills } = truth;
    return { labels, probabilities, skills, alpha: alpha.value, undefined: alpha.undefined };
  });

  // Stores documents and tells, as server-sent events, how far it is. A caller that hangs up stops it: nothing is stored.
  app.post('/ingest', { schema: schemas.write }, async (request, reply) => {
    const { documents, onConflict } = /** @type {any} */ (request.body);
    const own = await tenant(request);
    const stop = new AbortController();
    gone(reply).addEventListener('abort', () => stop.abort());
    ingests.add(stop);
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    /** @param {string} event @param {unknown} data */
    const send = (event, data) => reply.raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    try {
      const options = {
        signal: stop.signal,
        progress: (/** @type {number} */ done, /** @type {number} */ total) => void send('progress', { done, total }),
      };
      const report = await (onConflict === 'replace' ? own.upsert(documents, options) : own.add(documents, options));
      send('done', report);
    } catch (error) {
      send('failed', problem(/** @type {Error} */ (error)).body);
    } finally {
      ingests.delete(stop);
      reply.raw.end();
    }
  });

  return app;
}

/** @param {import('quorate').Match} match */
function matched(match) {
  const { agent, score, confidence } = match;
  const { id, name, summary, domain } = agent;
  return { agent: { id, name, summary, domain }, score, confidence, explanation: match.explain() };
}
