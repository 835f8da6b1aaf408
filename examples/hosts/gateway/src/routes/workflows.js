// Workflows, their runs, and the reviews that wait for people.

import { workflows as library } from 'quorate';

import { Refused } from '../errors.js';
import * as schemas from '../schemas/workflows.js';
import { drawn } from '../drawn.js';
import { callerOf, tenantOf } from './common.js';

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function workflows(app, { flows }) {
  const shipped = new Map(library.templates().map(({ id, description, domain }) => [id, { description, domain }]));

  app.get('/workflows', async (request) => {
    const { engine } = await tenantOf(request).asking();
    return { workflows: (await engine.list()).map((one) => ({ ...one, ...shipped.get(one.id) })) };
  });

  app.get('/workflows/:id', { schema: schemas.workflow }, async (request) => {
    const { id } = /** @type {any} */ (request.params);
    const { version } = /** @type {any} */ (request.query);
    const { engine } = await tenantOf(request).asking();
    const definition = await engine.rendered(id, { version });
    return { definition, graph: drawn(definition) };
  });

  app.post('/workflows/:id/start', { schema: schemas.start }, async (request, reply) => {
    const { id } = /** @type {any} */ (request.params);
    const { input, ...options } = /** @type {any} */ (request.body) ?? {};
    const { engine } = await tenantOf(request).asking();
    const run = await engine.start(id, input, { ...options, starter: callerOf(request).user });
    reply.code(201).header('location', `/v1/workflows/runs/${encodeURIComponent(run.id)}`);
    return { id: run.id, status: await run.status };
  });

  app.get('/workflows/runs', { schema: schemas.runs }, async (request) => {
    const { status, limit } = /** @type {any} */ (request.query);
    const { engine } = await tenantOf(request).asking();
    const runs = (await engine.runs({ status })).reverse().slice(0, limit);
    return { runs: await Promise.all(runs.map(async (run) => ({ id: run.id, status: await run.status, ...(await titled(run)) }))) };
  });

  app.get('/workflows/runs/:run', { schema: schemas.run }, async (request) => {
    const run = await found(request);
    const [status, definition, ending] = await Promise.all([run.status, run.definition(), run.ending()]);
    return { id: run.id, status, definition, ending };
  });

  app.get('/workflows/runs/:run/steps', { schema: schemas.run }, async (request) => ({ steps: await (await found(request)).steps() }));

  app.get('/workflows/runs/:run/journal', { schema: schemas.run }, async (request) => ({ entries: await (await found(request)).journal() }));

  // A client that comes back goes on behind the number that it has seen last. Leaving it changes nothing in the run.
  app.get('/workflows/runs/:run/stream', { schema: schemas.stream }, async (request, reply) => {
    const run = await found(request);
    const seen = Number(request.headers['last-event-id'] ?? /** @type {any} */ (request.query).after);
    if (!Number.isSafeInteger(seen) || seen < 0) throw new Refused(422, 'invalid_request', 'the last event is named by its number');
    return flows.answer(request, reply, () => run.stream({ start: seen + 1 }), { watch: true });
  });

  app.post('/workflows/runs/:run/signal', { schema: schemas.signal }, async (request, reply) => {
    const { name, data, id } = /** @type {any} */ (request.body);
    await (await found(request)).signal(name, data, { id });
    return told(request, reply);
  });

  app.post('/workflows/runs/:run/pause', { schema: schemas.run }, async (request, reply) => {
    await (await found(request)).pause();
    return told(request, reply);
  });

  app.post('/workflows/runs/:run/resume', { schema: schemas.run }, async (request, reply) => {
    await (await found(request)).resume();
    return told(request, reply);
  });

  app.post('/workflows/runs/:run/cancel', { schema: schemas.cancel }, async (request, reply) => {
    const { reason, compensate } = /** @type {any} */ (request.body) ?? {};
    await (await found(request)).cancel(reason, { compensate });
    return told(request, reply);
  });

  app.post('/workflows/runs/:run/retry', { schema: schemas.step }, async (request, reply) => {
    const { step } = /** @type {any} */ (request.body) ?? {};
    await (await found(request)).retry(step);
    return told(request, reply);
  });

  app.get('/reviews', { schema: schemas.reviews }, async (request) => {
    const { role, run } = /** @type {any} */ (request.query);
    const { roles } = callerOf(request);
    const { engine } = await tenantOf(request).asking();
    const open = await engine.reviews({ role, run });
    return { reviews: open.filter((one) => roles === null || roles.includes(one.role)) };
  });

  app.get('/reviews/:id', { schema: schemas.review }, (request) => review(request));

  app.post('/reviews/:id/claim', { schema: schemas.review }, async (request) => {
    const { user } = callerOf(request);
    await (await review(request)).claim(user);
    return { ...(await review(request)) };
  });

  app.post('/reviews/:id/decide', { schema: schemas.decide }, async (request) => {
    const { option, comment, data } = /** @type {any} */ (request.body);
    const { user } = callerOf(request);
    const one = await review(request);
    await one.decide(option, { by: user, comment, data });
    return { id: one.id, runId: one.runId, option, by: user };
  });

  app.post('/reviews/:id/delegate', { schema: schemas.delegate }, async (request) => {
    const { user } = /** @type {any} */ (request.body);
    await (await review(request)).delegate(user, { by: callerOf(request).user });
    return { ...(await review(request)) };
  });
}

/** @param {import('fastify').FastifyRequest} request */
async function found(request) {
  const { engine } = await tenantOf(request).asking();
  return engine.run(/** @type {any} */ (request.params).run);
}

/** @param {import('fastify').FastifyRequest} request @param {import('fastify').FastifyReply} reply */
async function told(request, reply) {
  const run = await found(request);
  reply.code(202);
  return { id: run.id, status: await run.status };
}

/** A review that the caller may decide. @param {import('fastify').FastifyRequest} request */
async function review(request) {
  const { id } = /** @type {any} */ (request.params);
  const { roles } = callerOf(request);
  const { engine } = await tenantOf(request).asking();
  const one = await engine.review(id);
  if (roles !== null && !roles.includes(one.role)) throw new Refused(403, 'forbidden', `the review is decided by '${one.role}'`);
  return one;
}

/** @param {import('quorate').workflows.WorkflowRun} run */
async function titled(run) {
  const { id, title, version } = await run.definition();
  return { workflow: id, title, version };
}
