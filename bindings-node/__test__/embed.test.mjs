// Do embedding models answer Node?

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  CallbackEmbedder,
  CrossEncoder,
  Embedder,
  EmbeddingCache,
  InvalidInput,
  NotFound,
  RemoteEmbedder,
  Unavailable,
  open,
} from 'quorate';

import { fails, inFolder } from './support/kb.mjs';

const length = (vector) => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));

test('the built-in model embeds texts to rows of unit length', async () => {
  const embedder = new Embedder('builtin');
  assert.ok(embedder.dim > 0 && embedder.maxTokens > 0);
  assert.match(embedder.id, /\S/);
  const rows = await embedder.embed(['Metformin lowers glucose.', 'An ECG app.']);
  assert.equal(rows.length, 2);
  for (const row of rows) {
    assert.ok(row instanceof Float32Array);
    assert.equal(row.length, embedder.dim);
    assert.ok(Math.abs(length(row) - 1) < 1e-5);
  }
  assert.deepEqual(await embedder.embed([]), []);
  const [query] = await embedder.embedQueries(['glucose']);
  assert.deepEqual(await embedder.embedQuery('glucose'), query);
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  assert.ok(dot(query, rows[0]) > dot(query, rows[1]));
});

test('options and opening', async () => {
  const small = await Embedder.open('builtin', { dimensions: 32 });
  assert.equal(small.dim, 32);
  assert.notEqual(small.id, new Embedder('builtin').id);
  await assert.rejects(Embedder.open('/no/such/model'), fails(NotFound, 'model_not_found'));
  const lost = new Embedder('/no/such/model');
  assert.throws(() => lost.dim, fails(NotFound, 'model_not_found'));
  await assert.rejects(lost.embed(['x']), fails(NotFound, 'model_not_found'));
  assert.throws(() => new Embedder('builtin', { precision: 'f8' }), fails(InvalidInput, 'invalid_argument', /f32/));
  assert.throws(() => new Embedder('builtin', { batchsize: 3 }), fails(InvalidInput, 'invalid_argument', /batchsize/));
  assert.throws(() => new Embedder(), fails(InvalidInput, 'invalid_argument'));
  assert.throws(() => new Embedder('builtin', { cache: {} }), fails(InvalidInput, 'invalid_argument', /EmbeddingCache/));
});

test('a cache answers what it has seen', () =>
  inFolder(async (folder) => {
    const cache = await EmbeddingCache.open(join(folder, 'cache'), { maxBytes: 1 << 20 });
    const embedder = new Embedder('builtin', { cache });
    const first = await embedder.embed(['a text', 'another']);
    const again = await embedder.embed(['a text', 'another']);
    assert.deepEqual(again, first);
    const stats = await cache.stats();
    assert.deepEqual([stats.entries, stats.hits, stats.misses, stats.hitRate], [2, 2, 2, 0.5]);
  }));

test('a remote model is asked over HTTP, and its failures have codes', async () => {
  let asked = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => (body += data));
    request.on('end', () => {
      asked += 1;
      if (request.headers.authorization !== 'Bearer key') {
        response.writeHead(401).end('{"error": {"message": "no key"}}');
        return;
      }
      const { input } = JSON.parse(body);
      const data = input.map((text, index) => ({ index, embedding: [text.length, 1, 0] }));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data }));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${server.address().port}/v1`;
    const embedder = new RemoteEmbedder(url, { model: 'tiny', apiKey: 'key', dimensions: 3, retries: 0 });
    assert.ok(embedder instanceof Embedder);
    const [row] = await embedder.embed(['abc']);
    assert.ok(Math.abs(row[0] / row[1] - 3) < 1e-5);
    assert.ok(asked > 0);
    const stranger = new RemoteEmbedder(url, { model: 'tiny', apiKey: 'wrong', dimensions: 3, retries: 0 });
    await assert.rejects(stranger.embed(['abc']), fails(Unavailable, 'remote_failed'));
    assert.throws(() => new RemoteEmbedder(url), fails(InvalidInput, 'invalid_argument', /model/));
  } finally {
    server.close();
  }
});

test('MiniLM: token vectors, precision, and no token vectors from the built-in model', async (t) => {
  const folder = process.env.QUORATE_TEST_MODEL;
  if (!folder || !existsSync(folder)) return t.skip('QUORATE_TEST_MODEL names no model folder');
  const embedder = await Embedder.open(folder);
  assert.equal(embedder.dim, 384);
  const tokens = await embedder.embedTokens('renal failure');
  assert.ok(tokens.length >= 4 && tokens.every((row) => row.length === 384));
  const int8 = await Embedder.open(folder, { precision: 'int8' });
  const [a] = await embedder.embed(['Metformin lowers glucose.']);
  const [b] = await int8.embed(['Metformin lowers glucose.']);
  assert.ok(a.reduce((sum, x, i) => sum + x * b[i], 0) > 0.98);
});

test('a cross-encoder that is not there', async () => {
  await assert.rejects(CrossEncoder.open('/no/such/model'), fails(NotFound, 'model_not_found'));
  await assert.rejects(new CrossEncoder('/no/such/model').score('a', ['b']), fails(NotFound, 'model_not_found'));
});

test('an embedder of the host: sync and async functions, checked results, kept with the knowledge base', async () => {
  const lengths = (texts) => texts.map((text) => [text.length, 1, 0]);
  const embedder = new CallbackEmbedder(lengths, { dim: 3, id: 'lengths-v1' });
  assert.ok(embedder instanceof Embedder);
  assert.equal(embedder.id, 'callback:lengths-v1:3');
  const [row] = await embedder.embed(['abc']);
  assert.ok(Math.abs(row[0] - 3 / Math.sqrt(10)) < 1e-6);
  const later = new CallbackEmbedder(async (texts) => lengths(texts).map((row) => Float32Array.from(row)), { dim: 3, id: 'later' });
  assert.deepEqual(await later.embedQuery('abc'), row);
  const code = async (embed, code) => {
    const bad = new CallbackEmbedder(embed, { dim: 3, id: 'bad' });
    await assert.rejects(bad.embed(['a']), (error) => error.code === code);
  };
  await code(() => [], 'callback');
  await code(() => [[1, 2]], 'callback');
  await code(() => [[1, 2, Infinity]], 'not_finite');
  await code(() => Promise.reject(new Error('no')), 'callback');
  await code(() => {
    throw new Error('no');
  }, 'callback');
  assert.throws(() => new CallbackEmbedder('no', { dim: 3, id: 'x' }), fails(InvalidInput, 'invalid_argument', /function/));
  assert.throws(() => new CallbackEmbedder(lengths, { dim: 0, id: 'x' }), fails(InvalidInput, 'invalid_argument', /dim/));
  assert.throws(() => new CallbackEmbedder(lengths, { dim: 3, id: '' }), fails(InvalidInput, 'invalid_argument', /id/));
  await inFolder(async (folder) => {
    const kb = await open(folder, { embedder });
    await kb.add([{ id: 'a', text: 'four' }, { id: 'b', text: 'a much longer text than the other one' }]);
    const [hit] = await kb.search('five', { mode: 'dense' });
    assert.equal(hit.docId, 'a');
    await kb.close();
    await assert.rejects(open(folder, { embedder: later }), (error) => error.code === 'embedder_mismatch');
  });
});

test('what is told of hits asks no embedder of the host, whose thread could not answer meanwhile', async () => {
  let asked = 0;
  const embed = (texts) => {
    asked += 1;
    return texts.map((text) => [text.length, 1, 0]);
  };
  const kb = await open(null, { embedder: new CallbackEmbedder(embed, { dim: 3, id: 'counted' }) });
  await kb.add([{ id: 'a', text: 'kidney failure' }]);
  const [hit] = await kb.search('kidney');
  const before = asked;
  assert.ok(hit.relevance >= 0 && hit.relevance <= 1);
  assert.equal(asked, before);
  await kb.close();
});
