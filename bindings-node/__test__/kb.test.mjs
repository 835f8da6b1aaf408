// Does a knowledge base keep, find and explain documents from Node?

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { Conflict, Embedder, Hit, InvalidInput, KnowledgeBase, Locked, NotFound, open } from 'quorate';

import { DOCUMENTS, fails, inFolder, withKb } from './support/kb.mjs';

test('documents are added, found, and come back as they were', () =>
  withKb(async (kb) => {
    const hits = await kb.search('metformin in renal failure', { k: 2 });
    assert.equal(hits.length, 2);
    const [hit] = hits;
    assert.ok(hit instanceof Hit);
    assert.equal(hit.docId, 'metformin');
    assert.equal(hit.chunkId, 'metformin#0');
    assert.equal(hit.title, 'Metformin label');
    assert.deepEqual(hit.metadata, DOCUMENTS[0].metadata);
    assert.ok(hit.score > hits[1].score);
    const stored = await kb.get('metformin');
    assert.deepEqual(stored, { source: '', ...DOCUMENTS[0] });
    assert.equal(stored.text.slice(hit.start, hit.end), hit.text);
    assert.equal((await kb.get('asthma')).source, 'https://example.org/asthma');
    assert.deepEqual(await kb.ids(), DOCUMENTS.map((d) => d.id));
    assert.deepEqual(await kb.ids({ id: DOCUMENTS[1].id }), [DOCUMENTS[1].id]);
    assert.deepEqual(await kb.ids({ where: "id = 'nobody'" }), []);
  }));

test('a hit shows itself, as JSON and in the console', () =>
  withKb(async (kb) => {
    const [hit] = await kb.search('atrial fibrillation');
    const plain = JSON.parse(JSON.stringify(hit));
    assert.equal(plain.docId, 'ecg');
    assert.equal(plain.text, hit.text);
    assert.deepEqual(Object.keys(plain).sort(), [
      'chunkId', 'docId', 'end', 'headings', 'metadata', 'relevance', 'score', 'similarity', 'source', 'start', 'text', 'title',
    ]);
    const { inspect } = await import('node:util');
    assert.match(inspect(hit), /^Hit \{[^]*docId: 'ecg'/);
    assert.equal(hit.vector.length, (await kb.stats()).dim);
    assert.ok(Math.abs(hit.vector.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-5);
  }));

test('a score explains itself, and its arithmetic is right', () =>
  withKb(async (kb) => {
    const [hit] = await kb.search('metformin renal function', { alpha: 0.25 });
    const explained = hit.explain();
    assert.equal(explained.score, hit.score);
    assert.equal(explained.lexical.rank, 1);
    const sum = explained.lexical.terms.reduce((total, term) => total + term.score, 0);
    assert.ok(Math.abs(sum - explained.lexical.score) < 1e-4);
    const { lexical, dense, score } = explained.fusion;
    assert.ok(Math.abs(0.75 * lexical + 0.25 * dense - score) < 1e-5);
    assert.match(String(explained), /convex: 0\.750/);
    const [lexicalOnly] = await kb.search('metformin', { mode: 'lexical' });
    assert.equal(lexicalOnly.explain().dense, null);
    const [denseOnly] = await kb.search('metformin', { mode: 'dense' });
    assert.equal(denseOnly.explain().lexical, null);
    assert.ok(Math.abs(denseOnly.explain().dense.similarity - denseOnly.score) < 1e-6);
  }));

test('offsets are in UTF-16 units', async () => {
  const text = `𝒳 naïve 🫀 café — ${'An ECG app needs a clearance. 🙂 '.repeat(60)}The last words: 心房細動 𝔐etformin.`;
  await withKb(async (kb) => {
    const hits = await kb.search('metformin', { k: 50 });
    assert.ok(hits.length > 1);
    for (const hit of hits) assert.equal(text.slice(hit.start, hit.end), hit.text);
    assert.ok(hits.some((hit) => hit.start > 0));
  }, [{ id: 'a', text }]);
});

test('chunks of the caller are taken, with UTF-16 offsets and vectors', () =>
  withKb(async (kb) => {
    const text = '🫀 heart. 🫁 lung.';
    const dim = (await kb.stats()).dim;
    const axis = (i) => Float32Array.from({ length: dim }, (_, j) => (i === j ? 1 : 0));
    const chunks = [
      { start: 0, end: 9, vector: axis(0), headings: ['Organs'] },
      { start: 10, end: text.length, vector: Array.from(axis(1)) },
    ];
    await kb.add([{ id: 'organs', text, chunks }]);
    const [hit] = await kb.searchVector(axis(1));
    assert.equal(hit.text, '🫁 lung.');
    assert.ok(Math.abs(hit.score - 1) < 1e-6);
    assert.deepEqual((await kb.searchVector(axis(0)))[0].headings, ['Organs']);
    await assert.rejects(
      kb.add([{ id: 'x', text, chunks: [{ start: 1 }] }]),
      fails(InvalidInput, 'invalid_document', /middle of a character/),
    );
    await assert.rejects(
      kb.add([{ id: 'x', text, chunks: [{ end: 99 }] }]),
      fails(InvalidInput, 'invalid_document', /UTF-16 units/),
    );
  }, []));

test('filters hold, as text and as an object', () =>
  withKb(async (kb) => {
    const ids = async (where) => (await kb.search('medicine', { where, k: 10 })).map((hit) => hit.docId).sort();
    assert.deepEqual(await ids("year >= 2020 AND kind IN ('label', 'guideline')"), ['asthma', 'metformin']);
    assert.deepEqual(await ids({ year: { $gte: 2020 } }), ['asthma', 'metformin']);
    assert.deepEqual(await ids({ tags: { $contains: 'fda' } }), ['ecg', 'metformin']);
    assert.deepEqual(await ids("maker.name = 'Acme'"), ['metformin']);
    assert.deepEqual(await ids({ $or: [{ draft: true }, { year: 2021 }] }), ['asthma', 'ecg']);
    assert.deepEqual(await ids('nothing = 1'), []);
    assert.equal(await kb.count(), 3);
    assert.equal(await kb.count({ year: { $lt: 2020 } }), 1);
    assert.equal(await kb.count({ where: 'year < 2020' }), 1);
    await assert.rejects(kb.search('x', { where: 'year >=' }), fails(InvalidInput, 'filter_syntax', /position/));
    await assert.rejects(kb.search('x', { where: "year > 'a'" }), fails(InvalidInput, 'filter_type'));
    await assert.rejects(kb.search('x', { where: 'nothing = 1', strict: true }), fails(InvalidInput, 'filter_field'));
    await assert.rejects(kb.count('year ='), fails(InvalidInput, 'filter_syntax'));
  }));

test('every option of a search has its effect', () =>
  withKb(async (kb) => {
    const order = async (options) => (await kb.search('fda renal ecg', options)).map((hit) => hit.docId);
    for (const fusion of ['convex', 'rrf', 'dbsf']) assert.equal((await order({ fusion })).length, 3);
    const all = await order({});
    assert.deepEqual(await order({ k: 1 }), all.slice(0, 1));
    assert.deepEqual(await order({ k: 2, offset: 1 }), all.slice(1, 3));
    assert.deepEqual(await order({ k: 0 }), []);
    assert.equal((await order({ minScore: 2 })).length, 0);
    assert.deepEqual((await kb.search('fda', { groupBy: 'doc' })).map((h) => h.docId).sort(), ['asthma', 'ecg', 'metformin']);
    await assert.rejects(kb.search('x', { mode: 'fuzzy' }), fails(InvalidInput, 'invalid_argument', /'hybrid', 'dense', 'lexical'/));
    await assert.rejects(kb.search('x', { alpha: 2 }), fails(InvalidInput, 'invalid_argument', /alpha/));
    await assert.rejects(kb.search('x', { kk: 2 }), fails(InvalidInput, 'invalid_argument', /no option 'kk'/));
  }));

test('batches and vectors find what single searches find', () =>
  withKb(async (kb) => {
    const queries = ['metformin', 'asthma in adults', 'ECG app'];
    const batch = await kb.searchBatch(queries, { k: 2 });
    const single = await Promise.all(queries.map((query) => kb.search(query, { k: 2 })));
    const shape = (hits) => hits.map((hit) => [hit.chunkId, hit.score]);
    assert.deepEqual(batch.map(shape), single.map(shape));
    const embedder = new Embedder('builtin');
    const vector = await embedder.embedQuery('asthma in adults');
    const byVector = await kb.searchVector(vector, { k: 1 });
    assert.deepEqual(shape(byVector), shape(await kb.search('asthma in adults', { mode: 'dense', k: 1 })));
    assert.deepEqual(shape(await kb.searchVector(Array.from(vector), { k: 1 })), shape(byVector));
    assert.deepEqual(shape(await kb.searchVector(Float64Array.from(vector), { k: 1 })), shape(byVector));
    await assert.rejects(kb.searchVector([1, 2]), fails(InvalidInput, 'invalid_shape'));
  }));

test('add is atomic, and can leave bad documents out with a report', () =>
  withKb(async (kb) => {
    const batch = [
      { id: 'new', text: 'A new one.' },
      { id: 'ecg', text: 'There already.' },
      { id: '', text: 'Without an id.' },
      { id: 'typed', text: 7 },
      { id: 'late', text: 'A late one.' },
      'no document',
    ];
    await assert.rejects(kb.add(batch.slice(0, 2)), fails(Conflict, 'duplicate_id', /ecg/));
    await assert.rejects(kb.add(batch.slice(3)), fails(InvalidInput, 'invalid_document', /documents\[0\]\.text is a number/));
    assert.equal(await kb.count(), 3);
    const report = await kb.add(batch, { onError: 'skip' });
    assert.equal(report.added, 2);
    assert.deepEqual(report.skipped.map(({ index, id, code }) => [index, id, code]), [
      [1, 'ecg', 'duplicate_id'],
      [2, '', 'invalid_document'],
      [3, 'typed', 'invalid_document'],
      [5, '', 'invalid_document'],
    ]);
    assert.deepEqual((await kb.ids()).slice(3), ['new', 'late']);
  }));

test('upsert replaces, updateMetadata keeps the text, delete deletes', () =>
  withKb(async (kb) => {
    const report = await kb.upsert([{ id: 'ecg', text: 'Now about pumps.' }, { id: 'more', text: 'More.' }]);
    assert.deepEqual([report.added, report.replaced], [1, 1]);
    assert.equal((await kb.get('ecg')).text, 'Now about pumps.');
    await kb.updateMetadata('asthma', { year: 2030 });
    assert.deepEqual((await kb.get('asthma')).metadata, { year: 2030 });
    assert.equal((await kb.search('asthma', { where: 'year = 2030' }))[0].docId, 'asthma');
    assert.equal(await kb.delete({ ids: ['more', 'absent'] }), 1);
    assert.equal(await kb.delete({ where: 'year = 2030' }), 1);
    assert.equal(await kb.delete(['ecg']), 1);
    assert.deepEqual(await kb.ids(), ['metformin']);
    await assert.rejects(kb.get('ecg'), fails(NotFound, 'unknown_id'));
    await assert.rejects(kb.updateMetadata('ecg', {}), fails(NotFound, 'unknown_id'));
    await assert.rejects(kb.delete({}), fails(InvalidInput, 'invalid_argument', /ids or where/));
  }));

test('versions can be read as they were', () =>
  withKb(async (kb) => {
    const { version } = await kb.stats();
    await kb.delete({ ids: ['ecg'] });
    assert.ok((await kb.versions()).some((one) => one.version === version && one.timestamp > 1.7e12));
    const past = await kb.at(version);
    assert.ok(past instanceof KnowledgeBase);
    assert.equal(await past.count(), 3);
    assert.equal(await kb.at(version).count(), 3);
    assert.equal(await kb.at((await kb.versions()).find((one) => one.version === version)).count(), 3);
    assert.equal(await kb.count(), 2);
    await assert.rejects(past.add([{ id: 'x', text: 'y' }]), fails(Conflict, 'read_only'));
    await assert.rejects(kb.at(99999).count(), fails(NotFound, 'unknown_id'));
    await assert.rejects(async () => await kb.at(-1), fails(InvalidInput, 'invalid_argument'));
  }));

test('tenants do not see each other', () =>
  withKb(async (kb, place) => {
    const acme = await kb.tenant('acme');
    assert.equal(acme.tenantName, 'acme');
    assert.equal(kb.tenantName, null);
    await acme.add([{ id: 'metformin', text: 'Only for Acme.' }]);
    assert.equal(await acme.count(), 1);
    assert.equal(await kb.count(), 3);
    assert.deepEqual((await acme.search('metformin fda')).map((hit) => hit.text), ['Only for Acme.']);
    assert.equal(await kb.tenant('other').count(), 0);
    assert.deepEqual((await kb.tenant('acme').search('Acme'))[0].docId, 'metformin');
    await assert.rejects(acme.tenant('other').count(), fails(Conflict, 'tenant_violation'));
    await assert.rejects(async () => await kb.tenant(''), fails(InvalidInput, 'invalid_argument'));
    await kb.close();
    const reopened = await open(place, { tenant: 'acme', readOnly: true });
    assert.equal(await reopened.count(), 1);
    await reopened.close();
  }));

test('one writes, others read and refresh', () =>
  withKb(async (kb, place) => {
    await assert.rejects(open(place), fails(Locked, 'locked'));
    const reader = await open(pathToFileURL(place), { readOnly: true });
    await assert.rejects(reader.add([{ id: 'x', text: 'y' }]), fails(Conflict, 'read_only'));
    await kb.add([{ id: 'fresh', text: 'Fresh news.' }]);
    assert.equal(await reader.count(), 3);
    assert.equal(await reader.refresh(), true);
    assert.equal(await reader.refresh(), false);
    assert.equal(await reader.count(), 4);
    await reader.close();
    await kb.compact();
    assert.equal(await kb.count(), 4);
  }));

test('opening says what is wrong', () =>
  inFolder(async (folder) => {
    const place = join(folder, 'kb');
    await assert.rejects(open(place, { readOnly: true }), fails(NotFound, 'not_found'));
    await assert.rejects(open(place, { embedder: join(folder, 'no-model') }), fails(NotFound, 'model_not_found'));
    await assert.rejects(open(place, { langage: 'french' }), fails(InvalidInput, 'invalid_argument', /no option 'langage'/));
    await assert.rejects(open(place, { language: 'klingon' }), fails(InvalidInput, 'invalid_argument', /german/));
    await assert.rejects(open(), fails(InvalidInput, 'invalid_argument', /undefined/));
    await assert.rejects(open(place, 7), fails(InvalidInput, 'invalid_argument'));
  }));

test('texts are cut as the options say', () => {
  const text = '# A\n\nFirst words here.\n\n## B\n\nOther words there.\n';
  return inFolder(async (folder) => {
    const kb = await open(join(folder, 'kb'), { durability: 'process', chunking: { strategy: 'markdown', maxTokens: 12 } });
    await kb.add([{ id: 'a', text }]);
    const hits = await kb.search('words', { k: 10 });
    assert.ok(hits.length > 1);
    assert.deepEqual((await kb.search('other words there'))[0].headings, ['A', 'B']);
    await kb.close();
    for (const chunking of ['sideways', { stragety: 'fixed' }, { maxTokens: 0 }, 7]) {
      await assert.rejects(open(join(folder, 'bad'), { chunking }), fails(InvalidInput, 'invalid_argument', /chunking|max_tokens/));
    }
    await assert.rejects(open(join(folder, 'bad'), { durability: 'none' }), fails(InvalidInput, 'invalid_argument', /power_cut/));
  });
});

test('an embedder can be given, and another one is refused', () =>
  inFolder(async (folder) => {
    const place = join(folder, 'kb');
    const small = new Embedder('builtin', { dimensions: 64 });
    const kb = await open(place, { embedder: small });
    await kb.add(DOCUMENTS);
    assert.equal((await kb.stats()).dim, 64);
    assert.equal((await kb.stats()).embedder, small.id);
    await kb.close();
    await assert.rejects(open(place, { embedder: 'builtin' }), fails(Conflict, 'embedder_mismatch'));
    const again = await open(place, { embedder: small });
    assert.equal((await again.search('metformin'))[0].docId, 'metformin');
    await again.close();
  }));

test('a closed handle says so', () =>
  withKb(async (kb) => {
    await kb.close();
    await kb.close();
    await assert.rejects(kb.search('x'), fails(Conflict, 'closed'));
    await assert.rejects(kb.add([{ id: 'x', text: 'y' }]), fails(Conflict, 'closed'));
  }));

test('a knowledge base closes itself at the end of a block', () =>
  inFolder(async (folder) => {
    const place = join(folder, 'kb');
    const kb = await open(place);
    await kb[Symbol.asyncDispose]();
    await (await open(place)).close();
  }));
