// Does a model that runs in this process answer, stop and count in Node, and never hold up the event loop?

import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Cancelled, InvalidInput, Model, NotFound, QuorateError } from 'quorate';

import { fails, inFolder } from './support/kb.mjs';

const FOLDER = fileURLToPath(new URL('../../agents/models/tests/fixtures/local/tiny-qwen3', import.meta.url));
const open = (options) => Model.open(`local:${FOLDER}`, options);
const ASKED = ['Which dose?', { maxTokens: 16 }];

/** Runs `work` with a copy of the model whose `config.json` says something else, too. */
const withCopy = (config, work) =>
  inFolder(async (folder) => {
    const to = join(folder, 'model');
    await cp(FOLDER, to, { recursive: true });
    const own = JSON.parse(await readFile(join(to, 'config.json'), 'utf8'));
    await writeFile(join(to, 'config.json'), JSON.stringify({ ...own, ...config }));
    return work(to);
  });

/** Whether a promise is still open when all is done that needs no other thread. */
async function leavesTheLoop(promise) {
  let settled = false;
  const done = () => (settled = true);
  promise.then(done, done);
  for (let i = 0; i < 50; i++) await null;
  return !settled;
}

async function all(events) {
  const found = [];
  for await (const one of events) found.push(one);
  return found;
}

test('an answer is that of the model, whole and piece by piece, on any number of threads', async () => {
  const model = await open();
  assert.ok(model instanceof Model && model.id.startsWith('local:'));
  const found = await model.complete(...ASKED);
  assert.deepEqual([found.finish, found.usage.output, found.cost, found.attempts], ['length', 16, 0, 1]);
  assert.equal(found.usage.input, (await model.countTokens('Which dose?')).tokens);
  const events = await all(model.stream(...ASKED));
  const { result } = events.at(-1);
  assert.equal(events.filter(({ type }) => type === 'text').map(({ delta }) => delta).join(''), found.text);
  assert.deepEqual([result.text, result.finish, result.message], [found.text, found.finish, found.message]);
  for (const threads of [1, 2, 3]) {
    for (const made of [await open({ threads }), new Model(`local:${FOLDER}`, { threads })]) {
      assert.equal((await made.complete(...ASKED)).text, found.text);
    }
  }
  const many = await Promise.all(Array.from({ length: 8 }, () => model.complete(...ASKED)));
  assert.ok(many.every(({ text }) => text === found.text));
});

test('an answer takes a form, and seeds repeat themselves', async () => {
  const model = await open();
  const output = { type: 'object', properties: { verdict: { enum: ['yes', 'no'] } }, required: ['verdict'], additionalProperties: false };
  const { output: said, attempts } = await model.complete('Is it safe?', { output, maxTokens: 64 });
  assert.ok(['yes', 'no'].includes(said.verdict) && attempts === 1);
  const drawn = () => model.complete('Which dose?', { maxTokens: 16, temperature: 1, seed: 7 });
  assert.equal((await drawn()).text, (await drawn()).text);
});

test('an answer stops when it is not wanted any more', () =>
  withCopy({ max_position_embeddings: 1_000_000 }, async (folder) => {
    const model = await Model.open(`local:${folder}`);
    const long = { maxTokens: 900_000 };
    for (const way of ['abort', 'cancel', 'break']) {
      const controller = new AbortController();
      const stream = model.stream('Which dose?', { ...long, signal: controller.signal });
      const found = [];
      for await (const one of stream) {
        found.push(one);
        if (one.type !== 'text') continue;
        if (way === 'abort') controller.abort();
        if (way === 'cancel') stream.cancel();
        if (way === 'break') break;
      }
      if (way !== 'break') {
        assert.equal(found.at(-1).type, 'cancelled');
        assert.ok(found.at(-1).result.text.startsWith(found[0].delta));
      }
    }
    const controller = new AbortController();
    const waiting = model.complete('Which dose?', { ...long, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(waiting, fails(Cancelled, 'cancelled'));
    // The model is free again.
    assert.equal((await model.complete(...ASKED)).usage.output, 16);
  }));

test('opening and counting leave the event loop alone', async () => {
  const opened = open();
  assert.ok(await leavesTheLoop(opened));
  const model = await opened;
  const text = 'word and another one, '.repeat(50_000);
  const counted = model.countTokens(text);
  assert.ok(await leavesTheLoop(counted));
  const { tokens, exact } = await counted;
  assert.ok(exact && tokens > 100_000);
  const [few, more] = [await model.countTokens('q'), await model.countTokens([{ role: 'user', content: 'q' }, { role: 'assistant', content: 'a' }, { role: 'user', content: 'q' }])];
  assert.ok(few.exact && few.tokens < more.tokens);
  const late = model.countTokens(text, { signal: AbortSignal.timeout(1) });
  await assert.rejects(late, fails(Cancelled, 'cancelled'));
  await assert.rejects(model.complete(text), fails(InvalidInput, 'context_overflow'));
});

test('what is no model is refused, at once and later', () =>
  inFolder(async (folder) => {
    await mkdir(join(folder, 'empty'));
    await writeFile(join(folder, 'text.gguf'), 'no model');
    await writeFile(join(folder, 'nothing.gguf'), '');
    const cases = [
      [join(folder, 'nowhere.gguf'), {}, NotFound, 'model_not_found'],
      [join(folder, 'empty'), {}, QuorateError],
      [join(folder, 'text.gguf'), {}, QuorateError],
      [join(folder, 'nothing.gguf'), {}, QuorateError],
      ['', {}, QuorateError],
      ['a\0b', {}, QuorateError],
      [FOLDER, { baseUrl: 'http://127.0.0.1:9' }, InvalidInput, 'invalid_argument'],
      [FOLDER, { apiKey: 'k' }, InvalidInput, 'invalid_argument'],
      [FOLDER, { threads: 0 }, InvalidInput, 'invalid_argument'],
      [FOLDER, { threads: 1.5 }, InvalidInput, 'invalid_argument'],
      [FOLDER, { threads: '2' }, InvalidInput, 'invalid_argument'],
      [FOLDER, { thread: 2 }, InvalidInput, 'invalid_argument'],
    ];
    for (const [path, options, kind, code] of cases) {
      const refused = (error) => {
        assert.ok(error instanceof kind && error.code !== 'internal' && (code === undefined || error.code === code), `${path} ${JSON.stringify(options)}: ${error.code} ${error.message}`);
        return true;
      };
      assert.throws(() => new Model(`local:${path}`, options), refused);
      await assert.rejects(Model.open(`local:${path}`, options), refused);
    }
    await assert.rejects(Model.open('openai:m', { apiKey: 'k', threads: 2 }), fails(InvalidInput, 'invalid_argument', /threads/));
  }));

test('a model that is damaged is told by its code', () =>
  withCopy({ hidden_size: 64 }, async (folder) => {
    await assert.rejects(Model.open(`local:${folder}`), (error) => error instanceof QuorateError && error.code.startsWith('model_'));
  }));
