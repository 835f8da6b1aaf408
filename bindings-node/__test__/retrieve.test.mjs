// Are hits reranked, cited and read from files from Node?

import assert from 'node:assert/strict';
import { mkdir, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { Cancelled, Conflict, CrossEncoder, InvalidInput, NotFound, QuorateError } from 'quorate';

import { DOCUMENTS, fails, inFolder, withKb } from './support/kb.mjs';

test('a function reranks, at once or later', () =>
  withKb(async (kb) => {
    const seen = [];
    const byLength = (query, hits) => {
      seen.push([query, hits.length]);
      return hits.map((hit) => -hit.text.length);
    };
    const plain = await kb.search('medicine');
    const wanted = plain.map((hit) => hit.text).sort((a, b) => a.length - b.length);
    for (const rerank of [byLength, async (...args) => Float32Array.from(byLength(...args)), byLength]) {
      const hits = await kb.search('medicine', { rerank, rerankDepth: 10 });
      assert.deepEqual(hits.map((hit) => hit.text), wanted);
      assert.equal(hits[0].score, -wanted[0].length);
      assert.equal(hits[0].explain().rerank.name, 'callback');
    }
    assert.deepEqual(seen, Array(3).fill(['medicine', 3]));
    const many = await kb.searchBatch(['a', 'b', 'c'], { rerank: byLength });
    assert.deepEqual(many.map((hits) => hits.map((hit) => hit.text)), Array(3).fill(wanted));
  }));

test('a function that fails is told, and a search within it works', () =>
  withKb(async (kb) => {
    const mine = new RangeError('mine');
    const failing = [
      () => {
        throw mine;
      },
      async () => {
        await null;
        throw mine;
      },
    ];
    for (const rerank of failing) {
      await assert.rejects(kb.search('x', { rerank }), (error) => fails(InvalidInput, 'callback')(error) && error.cause === mine);
    }
    const bad = [
      ['invalid_shape', () => [1]],
      ['not_finite', (_, hits) => hits.map(() => NaN)],
      ['invalid_argument', () => 'scores'],
      ['invalid_argument', () => undefined],
    ];
    for (const [code, rerank] of bad) await assert.rejects(kb.search('x', { rerank }), fails(InvalidInput, code), code);
    const nested = async (query, hits) => {
      const again = await kb.search(query, { mode: 'lexical' });
      return hits.map((hit) => again.filter((one) => one.docId === hit.docId).length);
    };
    assert.equal((await kb.search('metformin', { rerank: nested }))[0].docId, 'metformin');
    const controller = new AbortController();
    const endless = () => {
      controller.abort();
      return new Promise(() => {});
    };
    await assert.rejects(kb.search('x', { rerank: endless, signal: controller.signal }), fails(Cancelled, 'cancelled'));
    assert.equal((await kb.search('metformin'))[0].docId, 'metformin');
  }));

test('mmr and late interaction rerank, with settings', () =>
  withKb(async (kb) => {
    const hits = await kb.search('fda clearance', { rerank: 'mmr' });
    assert.equal(hits.length, 3);
    assert.equal(hits[0].explain().rerank.name, 'mmr');
    const order = async (options) => (await kb.search('fda clearance', options)).map((hit) => hit.docId);
    assert.deepEqual(await order({ rerank: 'mmr', mmrLambda: 1 }), (await kb.search('fda clearance')).map((hit) => hit.docId));
    await assert.rejects(kb.search('x', { rerank: 'mmr', mmrLambda: 2 }), fails(InvalidInput, 'invalid_argument', /lambda/));
    await assert.rejects(kb.search('x', { rerank: 'mmr', blend: 2 }), fails(InvalidInput, 'invalid_argument', /blend/));
    await assert.rejects(kb.search('x', { rerank: 'best' }), fails(InvalidInput, 'invalid_argument', /mmr, late/));
    await assert.rejects(kb.search('x', { rerank: 7 }), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(kb.search('x', { rerank: {} }), fails(InvalidInput, 'invalid_argument'));
    // The built-in model has no token vectors to interact with, or has: either way the answer is a clear one.
    const late = await kb.search('metformin', { rerank: 'late' }).catch((error) => error);
    assert.ok(Array.isArray(late) ? late[0].explain().rerank.name === 'late' : late instanceof QuorateError && late.code === 'unsupported');
    await assert.rejects(kb.search('x', { rerank: new CrossEncoder('/no/such/model') }), fails(NotFound, 'model_not_found'));
  }));

test('several wordings of one question are one search', () =>
  withKb(async (kb) => {
    const hits = await kb.searchMany(['asthma', 'steroids for the lung', 'inhaled corticosteroids'], { k: 2 });
    assert.equal(hits[0].docId, 'asthma');
    assert.equal(hits.length, 2);
    assert.deepEqual(await kb.searchMany([]), []);
  }));

test('a context cites, in UTF-16 units, within its budget', () => {
  const text = `🫀 ${'The heart pumps blood. '.repeat(150)}Metformin 𝔐 is contraindicated in renal failure. ${'Kidneys filter blood. '.repeat(150)}`;
  return withKb(async (kb) => {
    const context = await kb.context('metformin in renal failure', { maxTokens: 400, neighbours: 0 });
    assert.ok(context.tokens > 0 && context.tokens <= 400);
    assert.ok(context.citations.length > 0);
    for (const cited of context.citations) {
      const { text: whole } = await kb.get(cited.docId);
      assert.ok(context.text.includes(whole.slice(cited.start, cited.end).trim()), cited.marker);
      assert.ok(context.text.includes(cited.marker));
    }
    assert.ok(context.citations.some((cited) => cited.docId === 'heart' && cited.start > 0));
    assert.equal(context.reason, null);
    const empty = async (options, reason) =>
      assert.deepEqual(await kb.context('metformin', options), { text: '', citations: [], tokens: 0, reason });
    await empty({ maxTokens: 0 }, 'budget_too_small');
    await empty({ minScore: 1000 }, 'nothing_relevant');
    await empty({ where: 'year = 1' }, 'nothing_found');
    const filtered = await kb.context('metformin', { where: "kind = 'label'", order: 'document', rerank: 'mmr' });
    assert.deepEqual(filtered.citations.map((cited) => cited.docId), ['metformin']);
    assert.match(filtered.text, /^\[1\] Metformin label/);
    await assert.rejects(kb.context('x', { maxTokens: -1 }), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(kb.context('x', { order: 'random' }), fails(InvalidInput, 'invalid_argument'));
  }, [...DOCUMENTS, { id: 'heart', text }]);
});

test('files are added by pattern', () =>
  inFolder((folder) =>
    withKb(async (kb) => {
      await mkdir(join(folder, 'docs/deep'), { recursive: true });
      await writeFile(join(folder, 'docs/metformin.md'), '# Metformin\n\nContraindicated in renal failure.');
      await writeFile(join(folder, 'docs/deep/ecg.txt'), 'The ECG app may need a 510(k).');
      await writeFile(join(folder, 'docs/rows.jsonl'), '{"id": "r1", "text": "A row about asthma.", "metadata": {"year": 2024}}\n');
      await writeFile(join(folder, 'docs/scan.png'), Buffer.from([0x89, 0x50]));
      const seen = [];
      const report = await kb.addFiles(join(folder, 'docs/**/*'), { progress: (done, total) => seen.push([done, total]) });
      assert.equal(report.added, 3);
      assert.deepEqual(report.skipped.map((one) => one.code), ['unsupported']);
      assert.equal(seen.at(-1)[0], seen.at(-1)[1]);
      assert.equal((await kb.search('ECG clearance'))[0].text, 'The ECG app may need a 510(k).');
      const again = await kb.addFiles([join(folder, 'docs')]);
      assert.deepEqual([again.added, again.unchanged, again.version], [0, 3, report.version]);
      await writeFile(join(folder, 'docs/metformin.md'), '# Metformin\n\nWith food.');
      await assert.rejects(kb.addFiles([join(folder, 'docs')]), fails(Conflict, 'duplicate_id'));
      const replaced = await kb.upsertFiles([join(folder, 'docs')], { batch: 1, followLinks: true });
      assert.deepEqual([replaced.replaced, replaced.unchanged, replaced.deleted], [1, 2, 0]);
      await assert.rejects(kb.addFiles(join(folder, 'none/*.md')), fails(NotFound, 'not_found'));
      await assert.rejects(kb.addFiles(7), fails(InvalidInput, 'invalid_argument'));
    }, [])));

test('folders are synchronised and tables read as told', () =>
  inFolder((folder) =>
    withKb(async (kb) => {
      const docs = join(folder, 'docs');
      await mkdir(docs);
      await writeFile(join(docs, 't.csv'), 'nr;befund;plz\n1;Colitis;01067\n2;Gangrene;94110\n');
      await writeFile(join(docs, 'a.txt'), 'First.');
      const csv = { delimiter: ';', id: 'nr', text: ['befund'] };
      const options = { root: docs, csv, metadata: { team: 'x' } };
      const first = await kb.syncFiles(docs, options);
      assert.deepEqual([first.added, first.updated, first.unchanged, first.deleted, first.skipped], [3, 0, 0, 0, []]);
      assert.deepEqual((await kb.ids()).sort(), ['1', '2', 'a.txt']);
      const { text, metadata } = await kb.get('1');
      assert.deepEqual([text, metadata.plz, metadata.team], ['Colitis', '01067', 'x']);
      await writeFile(join(docs, 't.csv'), 'nr;befund;plz\n1;Colitis;01067\n');
      await rm(join(docs, 'a.txt'));
      const kept = await kb.syncFiles(docs, { ...options, deleteMissing: false });
      assert.deepEqual([kept.unchanged, kept.deleted], [1, 1]);
      const second = await kb.syncFiles(docs, options);
      assert.deepEqual([second.unchanged, second.deleted], [1, 1]);
      for (const wrong of [{ csv: { delimiter: 'ab' } }, { csv: { nothing: 1 } }, { csv: 'x' }, { batch: 0 }, { followLinks: 1 }, { other: 1 }]) {
        await assert.rejects(kb.addFiles(docs, wrong), fails(InvalidInput, 'invalid_argument'), JSON.stringify(wrong));
      }
      await assert.rejects(kb.addFiles(docs, { deleteMissing: true }), fails(InvalidInput, 'invalid_argument'));
      await assert.rejects(kb.syncFiles(join(folder, 'none')), fails(NotFound, 'not_found'));
    }, [])));
