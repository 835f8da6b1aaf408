// What else can a search be told, and what else can be asked of a knowledge base?

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { InvalidInput } from 'quorate';

import { fails, withKb } from './support/kb.mjs';

const TEXTS = {
  a: 'acute renal failure in the elderly',
  b: 'failure of the renal artery',
  c: 'the kidney and its contraindications',
  d: 'renal function, chronic failure',
};

const withTexts = (use) =>
  withKb(async (kb) => {
    await kb.delete({ all: true });
    const entries = Object.entries(TEXTS);
    await kb.add(entries.map(([id, text], i) => ({ id, text, metadata: { year: 2020 + (i % 3), tags: [id, 'all'] } })));
    await use(kb);
  });

const found = (hits) => hits.map((hit) => hit.docId).sort().join('');

test('words must and must not occur, in every mode', () =>
  withTexts(async (kb) => {
    for (const mode of ['hybrid', 'dense', 'lexical']) {
      const search = async (lexical) => found(await kb.search('renal failure', { mode, lexical }));
      assert.equal(await search({ must: 'renal' }), 'abd');
      assert.equal(await search({ must: ['failure', 'renal'], mustNot: 'artery' }), 'ad');
      assert.equal(await search({ phrase: { text: 'renal failure', slop: 2 } }), 'ad');
      assert.equal(await search({ prefix: 'contraindic' }), 'c');
      assert.equal(await search({ fuzzy: ['kindey'] }), 'c');
      assert.equal(await search({ must: { should: ['acute', 'chronic'] } }), 'ad');
    }
    for (const lexical of [{ may: 'x' }, { must: 3 }, { must: '' }, 'renal']) {
      await assert.rejects(kb.search('renal', { lexical }), fails(InvalidInput, 'query_syntax'));
    }
  }));

test('the numbers of a search', () =>
  withTexts(async (kb) => {
    const flat = await kb.search('renal failure', { mode: 'lexical', bm25: [0, 0] });
    assert.equal(new Set(flat.map((hit) => hit.score.toFixed(5))).size, 1);
    const [{ vector }] = flat;
    for (const options of [{ exact: true }, { recall: 0.99 }, { recall: 1 }, { efSearch: 200 }, { depth: 500 }]) {
      assert.equal(found(await kb.search('renal failure', options)), 'abcd');
      assert.equal((await kb.searchVector(vector, { k: 2, ...options })).length, 2);
    }
    for (const options of [{ recall: 0 }, { recall: 2 }, { bm25: [1] }, { bm25: [-1, 0] }, { minRelevance: 2 }, { depth: 2 ** 40 }]) {
      await assert.rejects(kb.search('renal', options), fails(InvalidInput, 'invalid_argument'));
    }
    await assert.rejects(kb.search(' '), fails(InvalidInput, 'empty_input'));
  }));

test('nothing is found where nothing is relevant', () =>
  withTexts(async (kb) => {
    const hits = await kb.search('renal failure');
    assert.ok(hits.every((hit) => hit.relevance >= 0 && hit.relevance <= 1));
    assert.ok(hits[0].relevance > hits.at(-1).relevance && hits[0].similarity > hits.at(-1).similarity);
    assert.equal((await kb.search('renal', { mode: 'lexical' }))[0].similarity, null);
    assert.deepEqual(await kb.search('the best pizza in Naples', { minRelevance: 0.5 }), []);
    const nothing = await kb.context('the best pizza in Naples', { minRelevance: 0.5 });
    assert.equal(nothing.text, '');
  }));

test('values are counted, and documents listed page by page', () =>
  withTexts(async (kb) => {
    assert.deepEqual(await kb.facets('year'), [[2020, 2], [2021, 1], [2022, 1]]);
    assert.deepEqual(await kb.facets('tags', { limit: 1 }), [['all', 4]]);
    assert.deepEqual(await kb.minMax('year', { where: 'year > 2020' }), [2021, 2022]);
    assert.equal(await kb.minMax('nothing'), null);
    const first = await kb.documents({ sort: '-year', limit: 3 });
    assert.deepEqual(first.map((document) => document.id), ['c', 'b', 'a']);
    const rest = await kb.documents({ sort: '-year', limit: 3, after: first.next });
    assert.deepEqual(rest.map((document) => document.id), ['d']);
    assert.equal(rest.next, null);
    assert.equal(rest[0].text, TEXTS.d);
    await assert.rejects(kb.documents({ after: 'x' }), fails(InvalidInput, 'invalid_argument'));
  }));

test('an empty filter deletes nothing', () =>
  withTexts(async (kb) => {
    await assert.rejects(kb.delete({ where: {} }), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(kb.delete({}), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(kb.delete({ ids: ['a'], all: true }), fails(InvalidInput, 'invalid_argument'));
    assert.equal(await kb.count(), 4);
    assert.equal(await kb.delete({ where: {}, all: true }), 4);
    assert.equal(await kb.delete({ all: true }), 0);
  }));
