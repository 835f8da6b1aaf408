// How good is a search? Judged questions, the usual measures, and whether a difference is more than luck.

import { compare, evaluate, open } from 'quorate';

const TEXTS = {
  d1: 'Metformin is contraindicated in severe renal failure.',
  d2: 'Aspirin inhibits platelets and prolongs bleeding.',
  d3: 'Insulin lowers blood sugar at once.',
  d4: 'Contrast media can harm the kidneys.',
  d5: 'The sky is blue on a clear day.',
};
const QUERIES = { q1: 'kidneys and metformin', q2: 'drugs that make you bleed', q3: 'contrast scan and the kidney' };
// What should be found: 2 is better than 1.
/** @type {import('quorate').Qrels} */
const JUDGED = { q1: { d1: 2, d4: 1 }, q2: { d2: 1 }, q3: { d4: 2 } };

const kb = await open(null);
await kb.add(Object.entries(TEXTS).map(([id, text]) => ({ id, text })));

/**
 * A run says what was found, with scores.
 * @param {'hybrid' | 'lexical'} mode
 */
async function run(mode) {
  const found = await kb.searchBatch(Object.values(QUERIES), { k: 5, mode });
  const scored = found.map((hits) => Object.fromEntries(hits.map((hit) => [hit.docId, hit.score])));
  return Object.fromEntries(Object.keys(QUERIES).map((query, i) => [query, scored[i] ?? {}]));
}

const runs = { hybrid: await run('hybrid'), lexical: await run('lexical') };
await kb.close();

// The measures are those of trec_eval; they are 1 at best.
for (const [name, scores] of Object.entries(runs)) {
  const means = await evaluate(scores, JUDGED, { metrics: ['ndcg@5', 'recall@5', 'mrr@5'] });
  console.log(`${name}:`, Object.entries(means).map(([metric, value]) => `${metric} ${value.toFixed(3)}`).join(', '));
}

// Fisher's randomisation test: how often would chance give a difference as large? Three questions say little.
const compared = await compare(runs.hybrid, runs.lexical, JUDGED, { metric: 'ndcg@5', seed: 0 });
const { wins, ties, losses, pValue } = compared;
console.log(`wins ${wins}, ties ${ties}, losses ${losses}; p = ${pValue.toFixed(2)}`);
