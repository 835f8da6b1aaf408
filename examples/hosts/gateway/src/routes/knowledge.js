// Documents, search and cited context.

import { NotFound } from 'quorate';

import { problem } from '../errors.js';
import { headersOf } from '../flows.js';
import * as schemas from '../schemas.js';
import { EventSender } from '../streams.js';
import { gone, kbOf } from './common.js';

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function knowledge(app, { settings, open }) {
  const bodyLimit = settings.documentsLimit;
  /** @type {Set<AbortController>} */
  const ingests = new Set();
  app.addHook('preClose', async () => {
    for (const ingest of ingests) ingest.abort();
  });

  app.post('/documents', { schema: schemas.write, bodyLimit }, async (request, reply) => {
    const { documents, onConflict } = /** @type {any} */ (request.body);
    const own = kbOf(request);
    const report = await (onConflict === 'replace' ? own.upsert(documents) : own.add(documents));
    reply.code(201);
    return report;
  });

  app.get('/documents', { schema: schemas.list }, async (request, reply) => {
    const page = await kbOf(request).documents({ .../** @type {any} */ (request.query), signal: gone(reply) });
    return page.toJSON();
  });

  app.get('/documents/:id', { schema: schemas.byId }, async (request) => {
    const { id } = /** @type {any} */ (request.params);
    return kbOf(request).get(id);
  });

  app.delete('/documents/:id', { schema: schemas.byId }, async (request) => {
    const { id } = /** @type {any} */ (request.params);
    const deleted = await kbOf(request).delete({ ids: [id] });
    if (deleted === 0) throw new NotFound('unknown_id', `there is no document '${id}'`);
    return { deleted };
  });

  app.delete('/documents', { schema: schemas.byFilter }, async (request) => {
    const { where } = /** @type {any} */ (request.query);
    return { deleted: await kbOf(request).delete({ where }) };
  });

  app.get('/search', { schema: schemas.search }, (request, reply) => search(request, reply, request.query));
  app.post('/search', { schema: schemas.searchBody }, (request, reply) => search(request, reply, request.body));

  app.post('/context', { schema: schemas.context }, async (request, reply) => {
    const { question, maxTokens, where } = /** @type {any} */ (request.body);
    const { text, tokens, citations } = await kbOf(request).context(question, { maxTokens, where, signal: gone(reply) });
    return { text, tokens, citations };
  });

  // Stores documents and tells, as server-sent events, how far it is. A caller that hangs up stops it: nothing is stored.
  app.post('/ingest', { schema: schemas.write, bodyLimit }, async (request, reply) => {
    const { documents, onConflict } = /** @type {any} */ (request.body);
    const own = kbOf(request);
    const leave = open.enter(/** @type {any} */ (request).caller.tenant);
    const stop = new AbortController();
    gone(reply).addEventListener('abort', () => stop.abort());
    ingests.add(stop);
    reply.hijack();
    const sender = new EventSender(reply.raw, settings.stallSeconds, headersOf(reply));
    /** How far it is; of what a slow client has not read, only the newest is kept. @type {{ done: number, total: number } | undefined} */
    let newest;
    let sending = false;
    const tell = async () => {
      if (sending) return;
      sending = true;
      try {
        while (newest) {
          const data = newest;
          newest = undefined;
          await sender.send('progress', data);
        }
      } catch {
        stop.abort();
      } finally {
        sending = false;
      }
    };
    try {
      const options = {
        signal: stop.signal,
        progress: (/** @type {number} */ done, /** @type {number} */ total) => {
          newest = { done, total };
          void tell();
        },
      };
      const report = await (onConflict === 'replace' ? own.upsert(documents, options) : own.add(documents, options));
      newest = undefined;
      await sender.send('done', report).catch(() => {});
    } catch (error) {
      newest = undefined;
      await sender.send('failed', problem(/** @type {Error} */ (error)).body).catch(() => {});
    } finally {
      leave();
      ingests.delete(stop);
      sender.end();
    }
  });
}

/** @param {import('fastify').FastifyRequest} request @param {import('fastify').FastifyReply} reply @param {any} given */
async function search(request, reply, { q, explain, groupBy, rerank, ...options }) {
  const hits = await kbOf(request).search(q, {
    ...options,
    groupBy: groupBy === 'none' ? null : groupBy,
    rerank: rerank === 'none' ? null : rerank,
    signal: gone(reply),
  });
  return { hits: hits.map((hit) => (explain ? { ...hit.toJSON(), explanation: hit.explain() } : hit.toJSON())) };
}
