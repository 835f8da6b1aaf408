// Does anything that JavaScript can give end in the right error, and the process live?

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AgentRegistry, Embedder, InvalidInput, KnowledgeBase, consensus } from 'quorate';

import { DOCUMENTS, fails, withKb } from './support/kb.mjs';

const cyclic = { name: 'a' };
cyclic.self = { again: cyclic };
const deep = Array.from({ length: 500 }).reduce((inner) => ({ inner }), {});
const detached = new Float32Array(4);
structuredClone(detached.buffer, { transfer: [detached.buffer] });
const throwing = {
  get trap() {
    throw new RangeError('mine');
  },
};
const proxy = new Proxy({}, {
  ownKeys() {
    throw new RangeError('mine');
  },
});

test('no text, but something else', () =>
  withKb(async (kb) => {
    for (const query of [undefined, null, NaN, 7, 2n, {}, [], Symbol('s'), () => 1, new Date(), throwing]) {
      await assert.rejects(kb.search(query), fails(InvalidInput, 'invalid_argument'));
    }
    await assert.rejects(kb.search('lone \ud800 surrogate'), fails(InvalidInput, 'invalid_text', /query/));
    await assert.rejects(kb.get('\udc00'), fails(InvalidInput, 'invalid_text'));
    // The replacement character itself is a character like any other.
    assert.equal((await kb.search('metformin \ufffd'))[0].docId, 'metformin');
    for (const options of [7, 'k', [], true]) {
      await assert.rejects(kb.search('x', options), fails(InvalidInput, 'invalid_argument', /options/));
    }
    assert.equal((await kb.search('x', null)).length, 3);
    assert.equal((await kb.search('x', { k: undefined, where: null, mode: undefined })).length, 3);
  }));

test('no count', () =>
  withKb(async (kb) => {
    for (const k of [NaN, Infinity, -1, 1.5, '3', 1e9, {}, 2n ** 70n, [2]]) {
      await assert.rejects(kb.search('x', { k }), (error) => error instanceof InvalidInput && /invalid_(argument|shape)/.test(error.code));
    }
    assert.equal((await kb.search('x', { k: 2n })).length, 2);
    await assert.rejects(kb.search('x', { alpha: NaN }), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(kb.search('x', { minScore: NaN }), fails(InvalidInput, 'invalid_argument'));
  }));

test('no document', () =>
  withKb(async (kb) => {
    const id = 2 ** 53 + 1;
    const bad = [
      ['invalid_document', { id, text: 'a' }],
      ['invalid_document', { id: BigInt(2 ** 53) + 1n, text: 'a' }],
      ['invalid_document', { id: null, text: 'a' }],
      ['invalid_document', { text: 'a' }],
      ['invalid_document', { id: 'a' }],
      ['invalid_document', { id: 'a', text: 'b', txt: 'c' }],
      ['invalid_document', { id: 'a', text: ['b'] }],
      ['invalid_document', { id: 'a', text: 'b', metadata: 7 }],
      ['invalid_document', { id: 'a', text: 'b', metadata: [1] }],
      ['invalid_document', { id: 'a', text: 'b', metadata: { f: () => 1 } }],
      ['invalid_document', { id: 'a', text: 'b', metadata: { s: Symbol('s') } }],
      ['invalid_document', { id: 'a', text: 'b', metadata: { s: new Set([1]) } }],
      ['invalid_document', { id: 'a', text: 'b', metadata: { m: new Map([[1, 2]]) } }],
      ['invalid_document', { id: 'a', text: 'b', metadata: { p: Promise.resolve(1) } }],
      ['not_finite', { id: 'a', text: 'b', metadata: { x: NaN } }],
      ['not_finite', { id: 'a', text: 'b', metadata: { x: [1, Infinity] } }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: { d: new Date(NaN) } }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: { big: 2n ** 70n } }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: cyclic }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: deep }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: throwing }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: proxy }],
      ['invalid_argument', { id: 'a', text: 'b', metadata: { v: detached } }],
      ['invalid_text', { id: 'a', text: 'b\ud800' }],
      ['invalid_text', { id: 'a', text: 'b', metadata: { '\ud800': 1 } }],
      ['invalid_document', 'text'],
      ['invalid_document', undefined],
      ['invalid_document', ['a', 'b']],
    ];
    for (const [code, document] of bad) {
      await assert.rejects(kb.add([DOCUMENTS[0], document]), fails(InvalidInput, code, /documents|document/), code);
    }
    assert.equal(await kb.count(), 0);
    const skipped = (await kb.add([...bad.map(([, document]) => document), DOCUMENTS[0]], { onError: 'skip' })).skipped;
    assert.deepEqual(skipped.map((one) => one.code), bad.map(([code]) => code));
    assert.deepEqual(skipped.map((one) => one.index), bad.map((_, i) => i));
    assert.equal(await kb.count(), 1);
    for (const documents of [undefined, null, 'text', 7, {}, new Map(), new Uint8Array(3), DOCUMENTS[0]]) {
      await assert.rejects(kb.add(documents), fails(InvalidInput, 'invalid_argument', /documents/));
    }
    // The place is that in the whole array, not in the part that was being copied.
    const many = Array.from({ length: 300 }, (_, i) => ({ id: `n${i}`, text: i === 250 ? 7 : 'text' }));
    await assert.rejects(kb.add(many), fails(InvalidInput, 'invalid_document', /documents\[250\]\.text/));
  }, []));

test('metadata comes back as it is kept', () =>
  withKb(async (kb) => {
    const metadata = {
      text: 'a', int: 3, big: 2n ** 40n, float: 1.5, yes: true, none: null, gone: undefined,
      date: new Date(Date.UTC(2024, 1, 3)), list: [1, 'b', null], typed: Int16Array.of(1, 2), nested: { deep: { er: 1 } },
    };
    await kb.add([{ id: 'a', text: 'b', title: null, metadata: Object.assign(Object.create(null), metadata) }]);
    const { gone, ...kept } = metadata;
    assert.deepEqual((await kb.get('a')).metadata, { ...kept, big: 2 ** 40, date: '2024-02-03T00:00:00.000Z', typed: [1, 2] });
    assert.equal(await kb.count('int = 3 AND float > 1 AND yes = true'), 1);
    assert.equal(await kb.count({ date: { $gte: new Date(Date.UTC(2024, 0, 1)) } }), 1);
    assert.equal(await kb.count({ date: { $gte: new Date(Date.UTC(2025, 0, 1)) } }), 0);
    assert.equal('gone' in (await kb.get('a')).metadata, false);
    const odd = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
    await kb.updateMetadata('a', odd);
    assert.deepEqual(Object.keys((await kb.get('a')).metadata).sort(), ['__proto__', 'constructor']);
    assert.equal({}.polluted, undefined);
  }, []));

test('no vector', () =>
  withKb(async (kb) => {
    const dim = (await kb.stats()).dim;
    const bad = [
      ['invalid_argument', detached],
      ['invalid_argument', undefined],
      ['invalid_argument', 'x'],
      ['invalid_argument', Array(dim).fill('x')],
      ['invalid_argument', Array(dim)],
      ['invalid_argument', { length: dim }],
      ['invalid_argument', new DataView(new ArrayBuffer(8))],
      ['invalid_argument', new ArrayBuffer(8)],
      ['not_finite', Array(dim).fill(NaN)],
      ['not_finite', new Float32Array(dim).fill(Infinity)],
      ['invalid_shape', new Float32Array(dim + 1).fill(1)],
      ['invalid_shape', []],
      ['invalid_shape', [Array(dim).fill(1)]],
    ];
    for (const [code, vector] of bad) await assert.rejects(kb.searchVector(vector), fails(InvalidInput, code), code);
  }));

test('typed arrays are copied before the call returns', () =>
  withKb(async (kb) => {
    const vector = await new Embedder('builtin').embedQuery('asthma steroids');
    const search = kb.searchVector(vector, { k: 1 });
    vector.fill(0);
    structuredClone(vector.buffer, { transfer: [vector.buffer] });
    assert.equal((await search)[0].docId, 'asthma');
  }));

test('no filter', () =>
  withKb(async (kb) => {
    const bad = [
      ['filter_syntax', 'year >'],
      ['filter_syntax', { year: { $near: 3 } }],
      ['filter_syntax', { $and: 3 }],
      ['invalid_argument', 7],
      ['invalid_argument', []],
      ['invalid_argument', cyclic],
      ['not_finite', { year: NaN }],
    ];
    for (const [code, where] of bad) await assert.rejects(kb.search('x', { where }), fails(InvalidInput, code), code);
  }));

test('methods of one object on another', async () => {
  assert.throws(() => new KnowledgeBase(), fails(InvalidInput, 'invalid_argument', /open/));
  await assert.rejects(KnowledgeBase.prototype.search.call({}, 'x'), TypeError);
  await assert.rejects(Embedder.prototype.embed.call({}, ['x']), TypeError);
  assert.throws(() => Object.getOwnPropertyDescriptor(Embedder.prototype, 'dim').get.call({}), TypeError);
  await assert.rejects(AgentRegistry.prototype.list.call({}), TypeError);
});

test('no texts', async () => {
  const embedder = new Embedder('builtin');
  for (const texts of [undefined, 'one text', [1], [undefined], { 0: 'a' }]) {
    await assert.rejects(embedder.embed(texts), fails(InvalidInput, 'invalid_argument', /texts/));
  }
  await assert.rejects(embedder.embed(['a', '\ud800']), fails(InvalidInput, 'invalid_text', /texts\[1\]/));
  await assert.rejects(embedder.embedQuery(), fails(InvalidInput, 'invalid_argument'));
});

test('callbacks and signals that are none', () =>
  withKb(async (kb) => {
    await assert.rejects(kb.add([DOCUMENTS[0]], { progress: 'yes' }), fails(InvalidInput, 'invalid_argument', /progress/));
    await assert.rejects(kb.add([DOCUMENTS[0]], { onError: 'ignore' }), fails(InvalidInput, 'invalid_argument', /onError/));
    await assert.rejects(kb.search('x', { signal: {} }), fails(InvalidInput, 'invalid_argument', /AbortSignal/));
    assert.equal(await kb.count(), 0);
  }, []));

test('a consensus of nonsense', async () => {
  for (const data of [cyclic, throwing, proxy, [cyclic], new Map(), Symbol('s'), () => 1]) {
    await assert.rejects(async () => await consensus.majorityVote(data), (error) => error instanceof Error);
  }
  await assert.rejects(consensus.majorityVote([1], ['a'], [detached]), fails(InvalidInput, 'invalid_argument'));
  assert.throws(() => consensus.linearPool(cyclic), fails(InvalidInput, 'invalid_argument'));
});
