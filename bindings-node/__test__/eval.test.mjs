// Are rankings judged and files read as the library does it?

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { InvalidInput, NotFound, compare, evaluate, loadBeir, readTrecRun, writeTrecRun } from 'quorate';

import { fails, inFolder } from './support/kb.mjs';

const FIXTURES = new URL('../../rag/tests/fixtures/eval/', import.meta.url);
const RUN = { q1: { a: 3, b: 2, c: 1 }, q2: { a: 1 } };
const QRELS = { q1: { b: 1, c: 2 }, q2: { z: 1 } };

test('a run is scored', async () => {
  assert.deepEqual(await evaluate(RUN, QRELS, { metrics: ['mrr@10', 'p@5'] }), { 'mrr@10': 0.25, 'p@5': 0.2 });
  assert.deepEqual(await evaluate(RUN, QRELS, ['mrr@10']), { 'mrr@10': 0.25 });
  assert.deepEqual(await evaluate(RUN, QRELS, { metrics: ['mrr@10'], perQuery: true }), {
    q1: { 'mrr@10': 0.5 },
    q2: { 'mrr@10': 0 },
  });
  assert.deepEqual(Object.keys(await evaluate(RUN, QRELS)), ['ndcg@10', 'recall@100', 'mrr@10', 'map', 'p@5']);
});

test('two runs are compared', async () => {
  const worse = Object.fromEntries(
    Object.entries(RUN).map(([q, docs]) => [q, Object.fromEntries(Object.entries(docs).map(([d, s]) => [d, -s]))]),
  );
  const found = await compare(RUN, worse, QRELS, { metric: 'ndcg@10', seed: 0 });
  assert.ok(Math.abs(found.difference - (found.a - found.b)) < 1e-12);
  assert.equal(found.wins + found.ties + found.losses, 2);
  assert.equal(found.exact, true);
  assert.equal((await compare(RUN, RUN, QRELS)).pValue, 1);
});

test('TREC files', () =>
  inFolder(async (folder) => {
    const run = await readTrecRun(new URL('run.txt', FIXTURES));
    const path = join(folder, 'copy.txt');
    await writeTrecRun(run, path);
    assert.deepEqual(await readTrecRun(path), run);
    await writeFile(path, 'q Q0 d 1\n');
    await assert.rejects(readTrecRun(path), fails(InvalidInput, 'load_failed', /copy\.txt:1:/));
    await assert.rejects(readTrecRun(join(folder, 'none')), fails(NotFound, 'not_found'));
  }));

test('BEIR folders', () =>
  inFolder(async (folder) => {
    await mkdir(join(folder, 'qrels'));
    await writeFile(join(folder, 'qrels/test.tsv'), 'query-id\tcorpus-id\tscore\nq\td\t1\n');
    const document = { _id: 'd', text: 't', title: '', metadata: { year: 2020, tags: ['a', null, 1.5] } };
    await writeFile(join(folder, 'corpus.jsonl'), `${JSON.stringify(document)}\n`);
    await writeFile(join(folder, 'queries.jsonl'), '{"_id": "q", "text": "?"}\n');
    const data = await loadBeir(folder);
    assert.deepEqual(data.corpus, [{ id: 'd', title: '', text: 't', metadata: document.metadata }]);
    assert.deepEqual([data.queries, data.qrels], [{ q: '?' }, { q: { d: 1 } }]);
    await assert.rejects(loadBeir(folder, { split: 'train' }), fails(NotFound, 'not_found'));
  }));

test('bad input has its code', async () => {
  const bad = [
    ['invalid_argument', RUN, QRELS, ['ndgc@10']],
    ['invalid_argument', [], QRELS, ['map']],
    ['invalid_argument', { q: [1] }, QRELS, ['map']],
    ['invalid_argument', { q: { d: 'x' } }, QRELS, ['map']],
    ['invalid_argument', RUN, { q: { d: 0.5 } }, ['map']],
    ['invalid_argument', RUN, QRELS, { metrics: 'map' }],
    ['invalid_argument', undefined, QRELS, ['map']],
    ['not_finite', { q1: { d: NaN } }, QRELS, ['map']],
    ['empty_input', RUN, {}, ['map']],
  ];
  for (const [code, run, qrels, options] of bad) {
    await assert.rejects(evaluate(run, qrels, options), fails(InvalidInput, code), code);
  }
});
