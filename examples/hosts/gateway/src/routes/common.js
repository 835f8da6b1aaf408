// What do the routes share?

/** The caller of a request. @param {import('fastify').FastifyRequest} request @returns {import('../identity.js').Caller} */
export function callerOf(request) {
  return /** @type {any} */ (request).caller;
}

/** The tenant of a request, open until it is answered. @param {import('fastify').FastifyRequest} request @returns {import('../tenants.js').Tenant} */
export function tenantOf(request) {
  return /** @type {any} */ (request).tenant;
}

/** The documents of the caller's tenant. @param {import('fastify').FastifyRequest} request */
export function kbOf(request) {
  return tenantOf(request).kb;
}

/** Raised when the caller goes away before the answer. @param {import('fastify').FastifyReply} reply */
export function gone(reply) {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/**
 * What routes are given.
 * @typedef {object} Services
 * @property {import('../settings.js').Settings} settings
 * @property {import('quorate').KnowledgeBase} kb
 * @property {import('quorate').AgentRegistry} registry
 * @property {import('../identity.js').Identity} identity
 * @property {import('../tenants.js').Tenants} tenants
 * @property {import('../limits.js').Buckets} buckets
 * @property {import('../limits.js').Open} open
 * @property {import('../metrics.js').Metrics} metrics
 * @property {import('../flows.js').Flows} flows
 * @property {import('../engine/registry.js').Engines} engines
 * @property {import('../engine/cache.js').Cache} cache
 * @property {import('node:perf_hooks').IntervalHistogram} delay
 */
