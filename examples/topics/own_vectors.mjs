// What if the vectors are there already? Documents bring their own, and a search may be by vector.

import { CallbackEmbedder, InvalidInput, open } from 'quorate';

// The knowledge base has to know how long the vectors are; the function is called for texts without a vector alone.
const none = () => {
  throw new Error('nothing is embedded here');
};
const kb = await open(null, { embedder: new CallbackEmbedder(none, { dim: 3, id: 'given' }) });

// A vector need not have unit length. It belongs to a chunk: here the whole text, or a part of it from `start` to `end`.
await kb.add([
  { id: 'north', text: 'Towards the pole.', chunks: [{ vector: [0, 2, 0] }], metadata: { cold: true } },
  { id: 'east', text: 'Where the sun rises.', chunks: [{ vector: [1, 0, 0] }], metadata: { cold: false } },
  { id: 'north-east', text: 'Between the two.', chunks: [{ vector: [1, 1, 0] }], metadata: { cold: true } },
]);
for (const hit of await kb.searchVector([0.1, 1, 0], { k: 2 })) {
  console.log(`${hit.docId}: ${hit.similarity?.toFixed(3)}`);
}
const cold = await kb.searchVector([1, 0.2, 0], { k: 1, where: 'cold = true' });
console.log('with a filter:', ...cold.map((hit) => hit.docId));

// Words are found as ever.
console.log('by words:', ...(await kb.search('sun', { mode: 'lexical' })).map((hit) => hit.docId));

// What has another length is refused.
try {
  await kb.searchVector([1, 0]);
} catch (error) {
  if (!(error instanceof InvalidInput)) throw error;
  console.log('refused:', error.code);
}
await kb.close();
