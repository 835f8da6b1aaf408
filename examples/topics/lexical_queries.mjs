// Which words must, may and must not occur? Phrases, beginnings of words and misspellings.

import { open } from 'quorate';

const kb = await open(null);
await kb.add([
  { id: 'a', text: 'Metformin is contraindicated in severe renal failure.' },
  { id: 'b', text: 'Metformin: the failure of renal function is rare in children (paediatric data).' },
  { id: 'c', text: 'Nephropathy and nephrotoxic drugs.' },
  { id: 'd', text: 'Heart failure and aspirin.' },
]);

/**
 * What must and must not occur holds for the whole search, for its dense half too.
 * @param {string} name
 * @param {import('quorate').Lexical} lexical
 */
async function found(name, lexical) {
  const hits = await kb.search('kidneys', { mode: 'lexical', lexical });
  console.log(`${name}:`, ...hits.map((hit) => hit.docId).sort());
}

await found('all of these words', { must: 'metformin failure' });
await found('and none of these', { must: 'metformin failure', mustNot: 'paediatric' });
await found('any of these', { should: 'aspirin nephropathy' });
await found('one after the other', { phrase: 'renal failure' });
await found('with words between', { phrase: { text: 'failure renal', slop: 1 } });
await found('beginning with', { prefix: 'nephro' });
await found('misspelt', { fuzzy: 'asprin' });
await found('one or the other', { must: { should: ['aspirin', 'nephrotoxic'] } });
await kb.close();
