// Health, metrics, sessions.

import { version } from 'quorate';

import { callerOf } from './common.js';

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function health(app, { settings, kb, delay, engines, identity }) {
  app.get('/health', async () => ({
    status: 'ok',
    role: settings.readOnly ? 'reader' : 'writer',
    version,
    login: identity.open ? 'header' : 'token',
    documents: await kb.count(),
    loopDelayMs: { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
    engines: { known: engines.all.length, fit: engines.fit().length },
  }));
}

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function system(app, { metrics, identity }) {
  app.get('/metrics', async (_, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()));

  app.get('/session', async (request) => shown(callerOf(request)));

  app.post('/session', async (request, reply) => {
    reply.code(201).header('set-cookie', identity.login(callerOf(request)));
    return shown(callerOf(request));
  });

  app.delete('/session', async (request, reply) => {
    reply.code(204).header('set-cookie', identity.logout(request.raw));
  });
}

/** @param {import('../identity.js').Caller} caller */
function shown({ tenant, user, roles, until }) {
  return { tenant, user, roles, until };
}
