// What does quorate do on real text? Keeps SciFact in a knowledge base, searches it and scores the rankings.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { evaluate, loadBeir, open } from 'quorate';

const scifact = await loadBeir(join(process.env['QUORATE_DATA'] ?? 'data', 'scifact'));
const folder = await mkdtemp(join(tmpdir(), 'quorate-demo-'));
const kb = await open(folder);
try {
  let start = performance.now();
  for await (const { done } of kb.addStream(scifact.corpus, { batchSize: 1000 })) {
    console.log(`${done} abstracts stored after ${((performance.now() - start) / 1000).toFixed(2)} s`);
  }
  for (const claim of ['Metformin lowers blood glucose in type 2 diabetes.', 'Smoking raises the risk of lung cancer.']) {
    console.log(`\n${claim}`);
    for (const hit of await kb.search(claim, { k: 3, groupBy: 'doc' })) console.log(`  ${hit.score.toFixed(3)}  ${hit.title}`);
  }
  console.log();
  const [ids, claims] = [Object.keys(scifact.queries), Object.values(scifact.queries)];
  for (const mode of /** @type {const} */ (['hybrid', 'dense', 'lexical'])) {
    start = performance.now();
    const found = await kb.searchBatch(claims, { k: 100, mode, groupBy: 'doc' });
    const took = (performance.now() - start) / 1000;
    const run = Object.fromEntries(
      found.map((hits, i) => [ids[i] ?? '', Object.fromEntries(hits.map((hit) => [hit.docId, hit.score]))]),
    );
    const scores = await evaluate(run, scifact.qrels, { metrics: ['ndcg@10', 'recall@100', 'mrr@10'] });
    const told = Object.entries(scores).map(([metric, value]) => `${metric} ${value.toFixed(4)}`);
    console.log(`${mode.padEnd(8)} ${claims.length} claims in ${took.toFixed(2)} s  ${told.join('  ')}`);
  }
} finally {
  await kb.close();
  await rm(folder, { recursive: true, force: true });
}
