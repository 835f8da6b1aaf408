// Experts, panels of them, and what ballots and votes come to.

import { consensus } from 'quorate';

import * as schemas from '../schemas.js';
import { callerOf } from './common.js';

/** @param {import('fastify').FastifyInstance} app @param {import('./common.js').Services} services */
export async function experts(app, { registry }) {
  app.get('/agents', { schema: schemas.agents }, async (request) => {
    const { where, q, k } = /** @type {any} */ (request.query);
    const { tenant } = callerOf(request);
    if (q) {
      const found = await registry.match(q, { k, tenant });
      return { agents: await Promise.all(found.map((match) => ({ ...match.agent, score: match.score, confidence: match.confidence }))) };
    }
    const own = await registry.tenant(tenant);
    return { agents: await own.list(where ?? null) };
  });

  app.get('/agents/:id', { schema: schemas.byId }, async (request) => {
    const { id } = /** @type {any} */ (request.params);
    return (await registry.tenant(callerOf(request).tenant)).get(id);
  });

  app.post('/match', { schema: schemas.match }, async (request) => {
    const { question, ...options } = /** @type {any} */ (request.body);
    const found = await registry.match(question, { ...options, tenant: callerOf(request).tenant });
    return { matches: found.map(matched) };
  });

  app.post('/panel', { schema: schemas.panel }, async (request) => {
    const { question, ...options } = /** @type {any} */ (request.body);
    const panel = await registry.selectPanel(question, { ...options, tenant: callerOf(request).tenant });
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
}

/** @param {import('quorate').Match} match */
function matched(match) {
  const { agent, score, confidence } = match;
  const { id, name, summary, domain } = agent;
  return { agent: { id, name, summary, domain }, score, confidence, explanation: match.explain() };
}
