// Asking an expert, asking a panel, and the runs that come of it.

import { Conflict } from 'quorate';

import * as schemas from '../schemas/asking.js';
import { tenantOf } from './common.js';

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function asking(app, { flows }) {
  app.post('/ask', { schema: schemas.ask }, async (request, reply) => {
    const { question, stream, ...options } = /** @type {any} */ (request.body);
    const { runtime } = await tenantOf(request).asking();
    if (!streamed(request, stream)) return flows.whole(reply, (signal) => runtime.ask(question, { ...options, signal }));
    return flows.answer(request, reply, () => runtime.stream.ask(question, options));
  });

  app.post('/panels', { schema: schemas.panel }, async (request, reply) => {
    const { question, stream, ...options } = /** @type {any} */ (request.body);
    const { runtime } = await tenantOf(request).asking();
    if (!streamed(request, stream)) return flows.whole(reply, (signal) => runtime.panel(question, { ...options, signal }));
    return flows.answer(request, reply, () => runtime.stream.panel(question, options));
  });

  app.get('/runs', { schema: schemas.runs }, async (request) => {
    const { status, limit } = /** @type {any} */ (request.query);
    const { runtime } = await tenantOf(request).asking();
    const runs = await runtime.runs({ status });
    return { runs: runs.reverse().slice(0, limit) };
  });

  app.get('/runs/:id', { schema: schemas.run }, async (request) => {
    const { run } = await found(request);
    return run.info;
  });

  app.get('/runs/:id/events', { schema: schemas.events }, async (request) => {
    const { run } = await found(request);
    const { after, limit } = /** @type {any} */ (request.query);
    const events = (await run.events()).filter((event) => event.seq > after);
    const page = events.slice(0, limit);
    return { events: page, next: events.length > page.length ? page.at(-1)?.seq : null };
  });

  app.get('/runs/:id/answer', { schema: schemas.run }, async (request) => {
    const { run } = await found(request);
    return run.info.kind === 'panel' ? run.panel() : run.answer();
  });

  app.post('/runs/:id/cancel', { schema: schemas.run }, async (request, reply) => {
    const { run, runtime } = await found(request);
    if (run.info.kind === 'workflow') throw new Conflict('run_conflict', 'a workflow is cancelled by /v1/workflows/runs/ID/cancel');
    await runtime.cancel(run.runId);
    reply.code(202);
    return { runId: run.runId };
  });

  app.post('/runs/:id/resume', { schema: schemas.resume }, async (request, reply) => {
    const { run, runtime } = await found(request);
    const { decisions, stream } = /** @type {any} */ (request.body) ?? {};
    const panel = run.info.kind === 'panel';
    if (streamed(request, stream)) {
      return flows.answer(request, reply, () => (panel ? runtime.stream.resumePanel(run.runId) : runtime.stream.resume(run.runId, decisions ?? {})));
    }
    return flows.whole(reply, async (signal) => (panel ? runtime.resumePanel(run.runId, { signal }) : runtime.resume(run.runId, decisions ?? {}, { signal })));
  });
}

/** @param {import('fastify').FastifyRequest} request */
async function found(request) {
  const { id } = /** @type {any} */ (request.params);
  const { runtime } = await tenantOf(request).asking();
  return { runtime, run: await runtime.run(id) };
}

/** @param {import('fastify').FastifyRequest} request @param {boolean | undefined} stream */
function streamed(request, stream) {
  return stream ?? /\btext\/event-stream\b/.test(request.headers.accept ?? '');
}
