// Do LangChain's chains work on quorate?

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import { Document } from '@langchain/core/documents';
import { Embeddings } from '@langchain/core/embeddings';
import { VectorStore } from '@langchain/core/vectorstores';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { Conflict, Embedder, InvalidInput, ScriptedModel, Unavailable } from 'quorate';
import { ChatQuorate, QuorateEmbeddings, QuorateVectorStore } from 'quorate/langchain';

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

test('a chat model answers, streams, calls tools and gives answers of a form', async () => {
  const chat = (...replies) => new ChatQuorate({ model: new ScriptedModel(replies) });
  const found = await chat({ text: '5 mg', usage: { input: 3, output: 2 } }).invoke('Which dose?');
  assert.deepEqual([found.content, found.usage_metadata.total_tokens, found.response_metadata.finish_reason], ['5 mg', 5, 'stop']);
  let streamed;
  for await (const chunk of await chat('5 mg a day').stream('Which dose?')) streamed = streamed ? streamed.concat(chunk) : chunk;
  assert.equal(streamed.content, '5 mg a day');
  assert.ok(streamed.usage_metadata.output_tokens > 0);
  const seen = [];
  const model = new ScriptedModel((request) => {
    seen.push(request);
    return request.messages.at(-1).role === 'tool' ? 'done' : { toolCalls: [{ name: 'add', arguments: { a: 1 } }] };
  });
  const tool = { type: 'function', function: { name: 'add', description: 'Adds', parameters: { type: 'object', properties: { a: { type: 'number' } } } } };
  const bound = new ChatQuorate({ model }).bindTools([tool], { tool_choice: 'any' });
  const asked = await bound.invoke('q');
  assert.deepEqual(asked.tool_calls.map(({ name, args }) => [name, args]), [['add', { a: 1 }]]);
  assert.equal(seen[0].tool_choice, 'required');
  const after = await bound.invoke([new HumanMessage('q'), asked, new ToolMessage({ content: '2', tool_call_id: asked.tool_calls[0].id })]);
  assert.equal(after.content, 'done');
  const joke = { title: 'joke', type: 'object', properties: { setup: { type: 'string' } }, required: ['setup'] };
  const formed = chat({ toolCalls: [{ name: 'joke', arguments: { setup: 'Why?' } }] }).withStructuredOutput(joke, { name: 'joke' });
  assert.deepEqual(await formed.invoke('q'), { setup: 'Why?' });
  const failing = new Unavailable('rate_limited', 'slowly');
  await assert.rejects(new ChatQuorate({ model: new ScriptedModel([failing]), maxRetries: 0 }).invoke('q'), fails(Unavailable, 'rate_limited'));
});

test('calls that must not run are told, and go back as what they are', async () => {
  const broken = '{"amount": 10, "to": "Bo';
  const cut = { content: [{ type: 'text', text: 'Paying.' }, { type: 'tool_call', id: 'c1', name: 'pay', arguments: {}, broken }], finish: 'length' };
  const asked = [];
  const model = new ScriptedModel((request) => {
    asked.push(request.messages);
    return asked.length > 2 ? 'done' : cut;
  });
  const chat = new ChatQuorate({ model });
  const whole = await chat.invoke('q');
  let streamed;
  for await (const chunk of await chat.stream('q')) streamed = streamed ? streamed.concat(chunk) : chunk;
  assert.deepEqual(whole.invalid_tool_calls.map(({ id, name, args }) => [id, name, args]), [['c1', 'pay', broken]]);
  for (const message of [whole, streamed]) {
    assert.deepEqual([message.content, message.tool_calls, message.tool_call_chunks], ['Paying.', [], []]);
    assert.deepEqual(message.additional_kwargs.invalid_tool_calls, whole.invalid_tool_calls);
    await chat.invoke([new HumanMessage('q'), message, new ToolMessage({ content: 'cut off', tool_call_id: 'c1', status: 'error' })]);
    const [, said, result] = asked.at(-1);
    assert.deepEqual(said.content[1], { type: 'tool_call', id: 'c1', name: 'pay', arguments: {}, broken });
    assert.deepEqual(result.content[0], { type: 'tool_result', tool_call_id: 'c1', content: 'cut off', error: true });
  }
});

test('numbers that JavaScript has not come to tools as their digits', async () => {
  const calls = { toolCalls: [{ name: 'f', arguments: { id: 2n ** 53n + 1n, in: [2n ** 60n], n: 1 } }] };
  const wanted = { id: '9007199254740993', in: ['1152921504606846976'], n: 1 };
  const chat = new ChatQuorate({ model: new ScriptedModel(() => calls) }).bindTools([{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]);
  assert.deepEqual((await chat.invoke('q')).tool_calls[0].args, wanted);
  let streamed;
  for await (const chunk of await chat.stream('q')) streamed = streamed ? streamed.concat(chunk) : chunk;
  assert.deepEqual(streamed.tool_calls[0].args, wanted);
});

test('options are those that there are, and reach the model', async () => {
  const model = new ScriptedModel((request) => JSON.stringify(request));
  const wrong = fails(InvalidInput, 'invalid_argument');
  for (const beside of [{ baseUrl: 'http://127.0.0.1:9' }, { apiKey: 'k' }, { resilience: {} }, { price: { input: 1, output: 1 } }, { outputWay: 'tool' }, { threads: 2 }]) {
    assert.throws(() => new ChatQuorate({ model, ...beside }), wrong, JSON.stringify(beside));
  }
  for (const make of [
    () => new ChatQuorate({ model: 'openai:m', apiKey: 'k', threads: 2 }),
    () => new ChatQuorate({ model, maxToken: 5 }),
    () => new ChatQuorate({ model, max_tokens: 5 }),
    () => new ChatQuorate(5),
    () => new ChatQuorate(),
    () => new QuorateEmbeddings({ model: 'builtin' }),
  ]) {
    assert.throws(make, wrong, String(make));
  }
  await inFolder(async (folder) => {
    const embeddings = new QuorateEmbeddings({ maxRetries: 1 });
    const config = { folder: join(folder, 'kb') };
    await assert.rejects(QuorateVectorStore.open(embeddings, { ...config, serch: {} }), wrong);
    const { kb } = await QuorateVectorStore.open(embeddings, config);
    await assert.rejects(QuorateVectorStore.open(embeddings, { ...config, kb }), wrong);
    await kb.close();
  });
  const named = new ChatQuorate({ model: 'openai:m', apiKey: 'a-secret', maxRetries: 2, tags: ['t'], verbose: false });
  assert.ok(!JSON.stringify(named).includes('a-secret') && !JSON.stringify(named.lc_kwargs).includes('a-secret'));
  const chat = new ChatQuorate({ model, temperature: 0.5, maxTokens: 7, stop: ['x'], maxRetries: 0 });
  const sent = async (...args) => JSON.parse((await chat.invoke('q', ...args)).content);
  const { temperature, max_tokens, stop } = await sent();
  assert.deepEqual([temperature, max_tokens, stop], [0.5, 7, ['x']]);
  const once = await sent({ temperature: 0, seed: 3, stop: ['y'] });
  assert.deepEqual([once.temperature, once.max_tokens, once.seed, once.stop], [0, 7, 3, ['y']]);
  const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };
  for (const [given, wanted] of [['any', 'required'], [{ type: 'any' }, 'required'], [{ type: 'tool', name: 'f' }, 'f'], [{ type: 'function', function: { name: 'f' } }, 'f']]) {
    const bound = chat.bindTools([tool], { tool_choice: given });
    assert.equal(JSON.parse((await bound.invoke('q')).content).tool_choice, wanted);
  }
});
