// How do the best hits get a better order? Variety by MMR, and a function of one's own.

import { open } from 'quorate';

const kb = await open(null);
await kb.add([
  { id: 'a', text: 'Metformin and renal failure: do not use.', metadata: { year: 2015 } },
  { id: 'b', text: 'Metformin and renal failure: do not use it.', metadata: { year: 2019 } },
  { id: 'c', text: 'Renal failure changes the dose of many drugs.', metadata: { year: 2024 } },
]);
const question = 'metformin and renal failure: do not use';

/** @param {import('quorate').Hit[]} hits */
const ids = (hits) => hits.map((hit) => hit.docId);
console.log('as found:', ...ids(await kb.search(question)));

// Maximal marginal relevance: what repeats a hit that was taken already comes later. `mmrLambda` is the weight of
// relevance against variety.
console.log('with variety:', ...ids(await kb.search(question, { rerank: 'mmr', mmrLambda: 0.3 })));

// A function of the query and the hits gives one score each; it may be asynchronous. Here newer is better.
const hits = await kb.search(question, { rerank: (query, found) => found.map((hit) => Number(hit.metadata['year'])) });
console.log('newest first:', ...ids(hits));
console.log("the score is the function's:", hits[0]?.score);

// A cross-encoder is a model that reads question and text together: { rerank: new CrossEncoder('path/to/model') }.
await kb.close();
