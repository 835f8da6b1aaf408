// Do LangChain's chains work on quorate?

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import { Document } from '@langchain/core/documents';
import { Embeddings } from '@langchain/core/embeddings';
import { VectorStore } from '@langchain/core/vectorstores';
import { Conflict, Embedder, InvalidInput } from 'quorate';
import { QuorateEmbeddings, QuorateVectorStore } from 'quorate/langchain';

import { fails, inFolder } from './support/kb.mjs';

const TEXTS = ['Metformin is contraindicated in renal failure.', 'An ECG app may need a 510(k).', 'Asthma is treated with steroids.'];
const METADATAS = [{ year: 2024 }, { year: 2019 }, { year: 2021 }];

const withStore = (work) =>
  inFolder(async (folder) => {
    const config = { folder: join(folder, 'kb') };
    const store = await QuorateVectorStore.fromTexts(TEXTS, METADATAS, new QuorateEmbeddings(), config);
    try {
      await work(store);
    } finally {
      await store.kb.close();
    }
  });

test('embeddings are those of the embedder', async () => {
  const embeddings = new QuorateEmbeddings();
  assert.ok(embeddings instanceof Embeddings);
  const embedder = new Embedder('builtin');
  assert.deepEqual(await embeddings.embedQuery('heart'), Array.from(await embedder.embedQuery('heart')));
  const [row] = await embedder.embed(['heart']);
  assert.deepEqual(await embeddings.embedDocuments(['heart']), [Array.from(row)]);
});

test('a store finds by text, by vector and with a filter', () =>
  withStore(async (store) => {
    assert.ok(store instanceof VectorStore);
    const [document] = await store.similaritySearch('kidney failure and metformin', 1);
    assert.equal(document.pageContent, TEXTS[0]);
    assert.equal(document.metadata.year, 2024);
    const filtered = await store.similaritySearch('metformin', 5, { year: { $lt: 2022 } });
    assert.deepEqual(filtered.map((d) => d.metadata.year).sort(), [2019, 2021]);
    const vector = await store.embeddings.embedQuery('asthma steroids');
    const [[found, score]] = await store.similaritySearchVectorWithScore(vector, 1);
    assert.equal(found.pageContent, TEXTS[2]);
    assert.ok(score > 0.3 && score <= 1.0001);
  }));

test('a store serves as a retriever', () =>
  withStore(async (store) => {
    const documents = await store.asRetriever({ k: 2, filter: 'year >= 2020' }).invoke('metformin');
    assert.equal(documents.length, 2);
    assert.equal(documents[0].pageContent, TEXTS[0]);
  }));

test('documents are added with ids or vectors, and deleted', () =>
  withStore(async (store) => {
    const document = new Document({ pageContent: 'Pumps.', metadata: { kind: 'device' } });
    assert.deepEqual(await store.addDocuments([document], { ids: ['pump'] }), ['pump']);
    assert.deepEqual(await store.addDocuments([document], { ids: ['pump'] }), ['pump']);
    assert.equal(await store.kb.count(), 4);
    const [vector] = await store.embeddings.embedDocuments(['valves of the heart']);
    const [id] = await store.addVectors([vector], [new Document({ pageContent: 'No such words.' })]);
    const [[found, score]] = await store.similaritySearchVectorWithScore(vector, 1);
    assert.equal(found.id, `${id}#0`);
    assert.ok(score > 0.999);
    await store.delete({ ids: [id] });
    await store.delete({ filter: "kind = 'device'" });
    assert.equal(await store.kb.count(), 3);
    await assert.rejects(store.addVectors([], [document]), fails(InvalidInput, 'invalid_shape'));
  }));

test('other embeddings are refused', () =>
  inFolder(async (folder) => {
    const config = { folder: join(folder, 'kb') };
    await assert.rejects(QuorateVectorStore.open({}, config), fails(InvalidInput, 'invalid_argument'));
    const store = await QuorateVectorStore.open(new QuorateEmbeddings(), config);
    await store.kb.close();
    const small = new QuorateEmbeddings({ embedder: new Embedder('builtin', { dimensions: 32 }) });
    await assert.rejects(QuorateVectorStore.open(small, config), fails(Conflict, 'embedder_mismatch'));
  }));

test('CommonJS gets the classes of its own LangChain', async () => {
  const require = createRequire(import.meta.url);
  const adapter = require('quorate/langchain');
  assert.ok(adapter.QuorateVectorStore.prototype instanceof require('@langchain/core/vectorstores').VectorStore);
  assert.ok(new adapter.QuorateEmbeddings().embedder instanceof Embedder);
});
