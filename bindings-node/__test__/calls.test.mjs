// Do the calls work that one language had before the others?

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as quorate from 'quorate';

const { consensus } = quorate;
const DOCUMENTS = [
  { id: 'a', text: 'Metformin lowers glucose. \u{1f642} It is taken with meals.', metadata: { year: 2024 } },
  { id: 'b', text: 'Insulin lowers glucose quickly.', metadata: { year: 2020 } },
  { id: 'c', text: 'Amoxicillin treats infections of the ear.', metadata: { year: 2022 } },
];

async function filled() {
  const kb = await quorate.open(null);
  await kb.add(DOCUMENTS);
  return kb;
}

test('a search takes the vector of its query', async () => {
  const kb = await filled();
  const embedder = await kb.embedder();
  const vector = await embedder.embedQuery('an infection');
  const ids = (hits) => hits.map((hit) => hit.docId);
  assert.deepEqual(ids(await kb.search('an infection', { vector, mode: 'dense' })), ids(await kb.search('an infection', { mode: 'dense' })));
  await assert.rejects(kb.search('x', { vector: [1, 2] }), { code: 'invalid_shape' });
  await assert.rejects(kb.searchMany(['x'], { vector }), { code: 'invalid_argument' });
  assert.equal((await kb.searchVector(vector, { rerank: 'mmr', mmrLambda: 0.3, k: 3 })).length, 3);
  await assert.rejects(kb.searchVector(vector, { rerank: 'late' }), { code: 'invalid_argument' });
});

test('a function that reranks is not taken for another reranker', async () => {
  const kb = await filled();
  const hits = await kb.search('glucose', { k: 3, rerank: (_, found) => found.map((hit) => (hit.docId === 'c' ? 1 : 0)) });
  assert.equal(hits[0].docId, 'c');
  await assert.rejects(kb.search('glucose', { rerank: 'given' }), { code: 'invalid_argument' });
});

test('documents come with their vectors', async () => {
  const kb = await quorate.open(null);
  const { dim } = await kb.embedder();
  const unit = (at) => Float32Array.from({ length: dim }, (_, i) => (i === at ? 1 : 0));
  await kb.add([{ id: 'x', text: 'one' }, { id: 'y', text: 'two' }], { vectors: [unit(0), unit(1)] });
  await kb.upsert([{ id: 'z', text: 'three', vector: unit(2) }]);
  for (const [at, id] of [[0, 'x'], [1, 'y'], [2, 'z']]) assert.equal((await kb.searchVector(unit(at), { k: 1 }))[0].docId, id);
  await assert.rejects(kb.add([{ id: 'w', text: 'four' }], { vectors: [] }), { code: 'invalid_shape' });
  await assert.rejects(kb.add([{ id: 'w', text: 'four', vector: unit(0), chunks: [] }]), { code: 'invalid_document' });
  assert.equal(await kb.count(), 3);
});

test('a document is given with its pieces', async () => {
  const kb = await quorate.open(null, { chunking: { strategy: 'sentence', maxTokens: 8 } });
  await kb.add(DOCUMENTS);
  const { text, chunks } = await kb.get('a', { chunks: true });
  assert.ok(chunks.length > 1);
  assert.equal(chunks.map(({ start, end }) => text.slice(start, end)).join('').replace(/\s/g, ''), text.replace(/\s/g, ''));
  assert.ok(chunks.every((chunk) => chunk.vector instanceof Float32Array && Array.isArray(chunk.headings)));
  assert.equal((await kb.get('a')).chunks, undefined);
});

test('a context is made of hits that were found already', async () => {
  const kb = await filled();
  const hits = [...(await kb.search('glucose', { k: 2 })), ...(await kb.search('ear', { k: 1 }))];
  const context = await kb.contextOf(hits, { maxTokens: 500, dedupe: 1 });
  assert.deepEqual(new Set(context.citations.map((cited) => cited.docId)), new Set(['a', 'b', 'c']));
  for (const { docId, start, end } of context.citations) {
    const { text } = await kb.get(docId);
    assert.ok(context.text.includes(text.slice(start, end)));
  }
  await assert.rejects(kb.contextOf([{}]), { code: 'invalid_argument' });
  await assert.rejects(kb.contextOf(3), { code: 'invalid_argument' });
  await assert.rejects(kb.contextOf(hits, { k: 3 }), { code: 'invalid_argument' });
});

test('tokens are counted by an embedder or a function', async () => {
  const kb = await filled();
  const words = (text) => text.split(/\s+/).filter(Boolean).length;
  const context = await kb.context('glucose', { maxTokens: 40, tokenizer: words });
  assert.equal(context.tokens, words(context.text));
  assert.deepEqual(await kb.context('glucose', { tokenizer: await kb.embedder() }), await kb.context('glucose'));
  const mine = new Error('mine');
  const thrown = await kb.context('glucose', { tokenizer: async () => Promise.reject(mine) }).catch((error) => error);
  assert.deepEqual([thrown.code, thrown.cause], ['callback', mine]);
  await assert.rejects(kb.context('glucose', { tokenizer: () => -1 }), { code: 'callback' });
  await assert.rejects(kb.context('glucose', { tokenizer: 'x' }), { code: 'invalid_argument' });
});

test('a match takes the vector of its question, and a registry says how it learns', async () => {
  const registry = new quorate.AgentRegistry({ policy: { kind: 'thompson', alpha: 0.2, seed: 7 }, tuning: { lexical: 0 } });
  const question = 'Is a 510(k) needed for our ECG app?';
  const vector = await new quorate.Embedder('builtin').embedQuery(question);
  const ids = (found) => found.map((match) => match.agent.id);
  assert.deepEqual(ids(await registry.match(question, { vector })), ids(await registry.match(question)));
  await assert.rejects(registry.match(question, { vector: [1] }), { code: 'invalid_shape' });
  assert.throws(() => new quorate.AgentRegistry({ policy: 'guess' }), { code: 'invalid_argument', message: /policy is 'guess'; it is one of 'lin_ucb', 'thompson'/ });
  assert.throws(() => new quorate.AgentRegistry({ tuning: { nearst: 3 } }), { code: 'invalid_argument', message: /tuning has no member 'nearst'/ });
  const { properties, required } = quorate.agentSchema();
  assert.ok('modelTier' in properties && required.includes('id'));
});

test('ratings are made once and used often', async () => {
  const made = consensus.ratings([[1, 1, 2, 2], [1, 1, 2, 2], [2, 1, 2, 1]]);
  assert.ok(made instanceof consensus.Ratings);
  assert.deepEqual([made.items, made.raters, made.categories, made.length], [[0, 1, 2, 3], [0, 1, 2], [1, 2], 12]);
  const truth = await consensus.dawidSkene(made, { gold: { 0: 1 } });
  assert.deepEqual(truth.labels, { 0: 1, 1: 1, 2: 2, 3: 2 });
  assert.equal((await consensus.krippendorffAlpha(made)).items, 4);
  await assert.rejects(consensus.majorityVote(made, { weights: { 0: 2 } }), { code: 'invalid_argument' });
  assert.throws(() => consensus.ratings([1, 2]), { code: 'invalid_shape' });
});

test('texts are voted on, and juries counted', async () => {
  assert.equal((await consensus.rover(['take one tablet', ['take', 'two', 'tablets'], 'take two tablet daily'])).text, 'take two tablet');
  assert.equal(consensus.condorcetJury(Array(11).fill(0.6)).probability.toFixed(6), '0.753498');
  const online = new consensus.OnlineDawidSkene(['no', 'yes'], { priorClass: 1, priorCorrect: 3, priorWrong: 1 });
  assert.equal(online.probabilities('scan 1'), null);
  online.add('scan 1', 'ann', 'yes');
  online.add('scan 1', 'bob', 'yes');
  assert.ok(online.probabilities('scan 1').yes > 0.8 && online.confusion('ann')[1][1] > 0.5);
  assert.equal((await online.refit()).labels['scan 1'], 'yes');
  assert.equal(online.length, 2);
  assert.throws(() => online.add('scan 1', 'ann', 'no'), { code: 'duplicate_entry' });
  assert.throws(() => online.add('scan 2', 'ann', 'perhaps'), { code: 'invalid_argument' });
});
