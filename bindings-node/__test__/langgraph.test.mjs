// Do graphs of LangGraph.js keep their checkpoints in a state store? LangGraph's own suite of checkpointers is in langgraph/.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { HumanMessage } from '@langchain/core/messages';
import { Annotation, BaseCheckpointSaver, Command, MemorySaver, MessagesAnnotation, StateGraph, interrupt } from '@langchain/langgraph';
import { uuid6 } from '@langchain/langgraph-checkpoint';
import { InvalidInput, QuorateError, StateStore, workflows } from 'quorate';
import * as direct from 'quorate/langgraph';

import { fails, inFolder } from './support/kb.mjs';

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { LangGraphSaver } = workflows;

const State = Annotation.Root({ notes: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }) });

function graph(checkpointer) {
  return new StateGraph(State)
    .addNode('first', () => ({ notes: ['first'] }))
    .addNode('ask', () => ({ notes: [interrupt('go on?')] }))
    .addEdge('__start__', 'first')
    .addEdge('first', 'ask')
    .compile({ checkpointer });
}

async function all(generator) {
  const found = [];
  for await (const one of generator) found.push(one);
  return found;
}

/** Puts a checkpoint with values, and gives its config. */
async function put(saver, config, id, values, versions, changed = versions) {
  const checkpoint = { v: 4, id, ts: '2026-01-01T00:00:00.000Z', channel_values: values, channel_versions: versions, versions_seen: {} };
  return saver.put(config, checkpoint, { source: 'loop', step: 1, parents: {} }, changed);
}

test('a graph goes on in another store of the folder', (t) =>
  inFolder(async (folder) => {
    const config = { configurable: { thread_id: '7' } };
    {
      const store = await StateStore.open(folder);
      const app = graph(new LangGraphSaver(store));
      await app.invoke({ notes: ['in'] }, config);
      assert.deepEqual((await app.getState(config)).next, ['ask']);
      await store.close();
    }
    const store = await StateStore.open(folder);
    t.after(() => store.close());
    const app = graph(new direct.LangGraphSaver(store));
    assert.deepEqual((await app.invoke(new Command({ resume: 'yes' }), config)).notes, ['in', 'first', 'yes']);
    const history = await all(app.getStateHistory(config));
    assert.deepEqual(history.slice(0, 2).map((one) => one.next), [[], ['ask']]);
    // The checkpoints are those of the store.
    assert.equal((await store.checkpoints.list({ thread: '7' })).length, history.length);
    assert.equal((await all(app.getStateHistory(config, { limit: 1 }))).length, 1);
    assert.equal(await store.checkpoints.copy('7', 'copy'), history.length);
    const copied = await app.getState({ configurable: { thread_id: 'copy' } });
    assert.deepEqual(copied.values.notes, ['in', 'first', 'yes']);
  }));

test('two branches of one checkpoint keep what each has written, as with LangGraph\'s own', async (t) => {
  const store = new StateStore();
  t.after(() => store.close());
  const config = { configurable: { thread_id: 't' } };
  const told = [];
  for (const saver of [new LangGraphSaver(store), new MemorySaver()]) {
    const app = graph(saver);
    await app.invoke({ notes: ['in'] }, config);
    const waiting = (await app.getState(config)).config;
    const one = await app.updateState(waiting, { notes: ['one'] }, 'first');
    const two = await app.updateState(waiting, { notes: ['two'] }, 'first');
    assert.notEqual(one.configurable.checkpoint_id, two.configurable.checkpoint_id);
    const ended = await app.invoke(new Command({ resume: 'yes' }), two);
    const again = await app.invoke(new Command({ resume: 'no' }), waiting);
    const states = [await app.getState(one), await app.getState(two)];
    told.push([...states.map(({ values, next }) => [values.notes, next]), ended.notes, again.notes]);
    told.at(-1).push((await all(app.getStateHistory(config))).map(({ values, next, metadata }) => [values.notes, next, metadata.step, metadata.source]));
  }
  assert.deepEqual(told[0], told[1]);
  assert.deepEqual(told[0].slice(0, 2), [[['in', 'first', 'one'], ['ask']], [['in', 'first', 'two'], ['ask']]]);
});

test('messages come back as those of the program, in its build of LangChain', (t) =>
  inFolder(async (folder) => {
    const store = await StateStore.open(folder);
    t.after(() => store.close());
    const saver = new LangGraphSaver(store);
    assert.ok(saver instanceof BaseCheckpointSaver);
    assert.ok(saver instanceof LangGraphSaver);
    assert.ok(new direct.LangGraphSaver(store) instanceof BaseCheckpointSaver);
    const app = new StateGraph(MessagesAnnotation).addNode('n', () => ({ messages: [] })).addEdge('__start__', 'n').compile({ checkpointer: saver });
    const config = { configurable: { thread_id: 'm' } };
    await app.invoke({ messages: [new HumanMessage('Is aspirin safe here?')] }, config);
    const [message] = (await app.getState(config)).values.messages;
    assert.ok(message instanceof HumanMessage);
    assert.equal(message.content, 'Is aspirin safe here?');
    // A program of CommonJS has other classes; what it loads is of those.
    const program = `
      const { HumanMessage } = require('@langchain/core/messages');
      const { BaseCheckpointSaver, MessagesAnnotation, StateGraph } = require('@langchain/langgraph');
      const { StateStore, workflows } = require('quorate');
      (async () => {
        const store = await StateStore.open(${JSON.stringify(folder)});
        const checkpointer = new workflows.LangGraphSaver(store);
        const app = new StateGraph(MessagesAnnotation).addNode('n', () => ({ messages: [] })).addEdge('__start__', 'n').compile({ checkpointer });
        const { messages } = (await app.getState({ configurable: { thread_id: 'm' } })).values;
        console.log(messages[0] instanceof HumanMessage, checkpointer instanceof BaseCheckpointSaver, messages[0].content);
        await store.close();
      })();`;
    const run = await promisify(execFile)(process.execPath, ['-e', program], { cwd: PACKAGE, timeout: 60_000 });
    assert.equal(run.stdout.trim(), 'true true Is aspirin safe here?');
  }));

test('tenants do not cross', (t) =>
  inFolder(async (folder) => {
    const mine = await StateStore.open(folder, { tenant: 'a' });
    t.after(() => mine.close());
    const other = await StateStore.open(folder, { tenant: 'b' });
    t.after(() => other.close());
    const config = { configurable: { thread_id: 't' } };
    await graph(new LangGraphSaver(mine)).invoke({ notes: ['secret'] }, config);
    const theirs = new LangGraphSaver(other);
    assert.equal(await theirs.getTuple(config), undefined);
    assert.deepEqual(await all(theirs.list({})), []);
    await theirs.deleteThread('t');
    assert.ok(await new LangGraphSaver(mine).getTuple(config));
  }));

test('long histories are read page by page, and keep their order', async (t) => {
  const store = new StateStore();
  t.after(() => store.close());
  const saver = new LangGraphSaver(store);
  const ids = [];
  let config = { configurable: { thread_id: 'long', checkpoint_ns: '' } };
  for (let i = 0; i < 150; i += 1) {
    ids.unshift(uuid6(i));
    config = await put(saver, config, ids[0], { i }, { i: saver.getNextVersion(i === 0 ? undefined : i) });
  }
  const place = { configurable: { thread_id: 'long', checkpoint_ns: '' } };
  const found = await all(saver.list(place));
  assert.deepEqual(found.map((one) => one.checkpoint.id), ids);
  assert.deepEqual(found.map((one) => one.checkpoint.channel_values.i), ids.map((_, i) => 149 - i));
  for (const limit of [0, 1, 63, 64, 65, 128, 149, 150, 151]) {
    assert.equal((await all(saver.list(place, { limit }))).length, Math.min(limit, 150), `limit ${limit}`);
  }
  const before = { configurable: { checkpoint_id: ids[99] } };
  assert.deepEqual((await all(saver.list(place, { before }))).map((one) => one.checkpoint.id), ids.slice(100));
  assert.equal((await all(saver.list(place, { filter: { step: 1 }, limit: 70 }))).length, 70);
  assert.equal((await all(saver.list({}, { limit: 70 }))).length, 70);
  assert.deepEqual((await all(saver.list({ configurable: { ...place.configurable, checkpoint_id: ids[120] } }))).map((one) => one.checkpoint.id), [ids[120]]);
});

test('inconvenient names and values are kept as they are', async (t) => {
  const store = new StateStore();
  t.after(() => store.close());
  const saver = new LangGraphSaver(store);
  const values = {
    constructor: 'a', ['__proto__']: 'b', 'a.b': null, $big: { $big: '12' }, undefined: undefined, bytes: new Uint8Array([0, 255]),
    set: new Set([1]), text: 'ä😀\u0000', long: 'x'.repeat(3_000_000),
  };
  Object.defineProperty(values, '__proto__', { value: 'b', enumerable: true, configurable: true, writable: true });
  const versions = Object.fromEntries(Object.keys(values).map((name) => [name, 1]));
  const config = await put(saver, { configurable: { thread_id: '__proto__', checkpoint_ns: 'in|ner' } }, uuid6(0), values, versions);
  await saver.putWrites(config, [['constructor', 1], ['toString', 2]], 'task');
  const { checkpoint, pendingWrites } = await saver.getTuple(config);
  for (const name of Object.keys(values)) assert.deepEqual(checkpoint.channel_values[name], values[name], name);
  assert.deepEqual(Object.keys(checkpoint.channel_values).sort(), Object.keys(values).sort());
  assert.deepEqual(pendingWrites, [['task', 'constructor', 1], ['task', 'toString', 2]]);
  assert.equal({}.polluted, undefined);
});

test('writes come in the order in which steps apply them, whichever task ended first', async (t) => {
  const store = new StateStore();
  t.after(() => store.close());
  const saver = new LangGraphSaver(store);
  const config = await put(saver, { configurable: { thread_id: 't' } }, uuid6(0), {}, {});
  await saver.putWrites(config, [['c', 'late']], 'a', '~__pregel_pull, z');
  await saver.putWrites(config, [['c', 'first'], ['c', 'second']], 'b', '~__pregel_pull, a');
  await saver.putWrites(config, [['c', 'input']], 'z');
  // What a task wrote stays when it writes again.
  await saver.putWrites(config, [['c', 'again']], 'z');
  const { pendingWrites } = await saver.getTuple(config);
  assert.deepEqual(pendingWrites.map(([, , value]) => value), ['input', 'first', 'second', 'late']);
});

test('what is wrong is said with its code', async () => {
  const store = new StateStore();
  assert.throws(() => new LangGraphSaver('runs/'), InvalidInput);
  assert.throws(() => new LangGraphSaver(store, { serder: 1 }), InvalidInput);
  assert.throws(() => LangGraphSaver(store), TypeError);
  const saver = new LangGraphSaver(store);
  await assert.rejects(saver.put({ configurable: {} }, { id: uuid6(0), channel_values: {}, channel_versions: {} }, {}, {}), fails(InvalidInput, 'invalid_argument'));
  await assert.rejects(saver.put({ configurable: { thread_id: {} } }, { id: uuid6(0), channel_values: {}, channel_versions: {} }, {}, {}), fails(InvalidInput, 'invalid_argument'));
  await assert.rejects(saver.putWrites({ configurable: { thread_id: 't' } }, [], 'task'), fails(InvalidInput, 'invalid_argument'));
  await store.close();
  await assert.rejects(saver.getTuple({ configurable: { thread_id: 't' } }), fails(QuorateError, 'closed'));
  assert.equal(JSON.stringify({ saver }), '{"saver":"[LangGraphSaver]"}');
});

test('a class of the user may extend it', async (t) => {
  class Counting extends LangGraphSaver {
    puts = 0;
    async put(...given) {
      this.puts += 1;
      return super.put(...given);
    }
  }
  const store = new StateStore();
  t.after(() => store.close());
  const saver = new Counting(store);
  await graph(saver).invoke({ notes: [] }, { configurable: { thread_id: 't' } });
  assert.ok(saver.puts > 0 && saver instanceof LangGraphSaver);
});

test('without LangGraph everything else works, and the saver says what is missing', () =>
  inFolder(async (folder) => {
    // A copy, so that the package does not find what is installed beside it.
    await mkdir(join(folder, 'node_modules', 'quorate'), { recursive: true });
    for (const part of ['dist', 'package.json']) {
      await cp(join(PACKAGE, part), join(folder, 'node_modules', 'quorate', part), { recursive: true });
    }
    const { platform } = require('../dist/native.js');
    const addon = `quorate.${platform()}.node`;
    await symlink(join(PACKAGE, addon), join(folder, 'node_modules', 'quorate', addon));
    await writeFile(
      join(folder, 'program.mjs'),
      `import { StateStore, workflows } from 'quorate';
       const store = new StateStore();
       console.log((await store.checkpoints.list()).length, typeof workflows.LangGraphSaver, Object.keys(workflows).includes('LangGraphSaver'));
       try { new workflows.LangGraphSaver(store); } catch (error) { console.log(error.code, error.message); }`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], { cwd: folder, timeout: 60_000 });
    assert.match(stdout, /^0 function true\nunsupported LangGraphSaver needs the package @langchain\/langgraph-checkpoint: npm install/);
  }));

test('its types are those of LangGraph', async () => {
  const file = join(PACKAGE, '__test__', 'langgraph', 'typed.mts');
  const options = ['--noEmit', '--strict', '--target', 'ES2022', '--module', 'Node16', '--moduleResolution', 'Node16', '--types', 'node', '--skipLibCheck'];
  await promisify(execFile)(process.execPath, [join(PACKAGE, 'node_modules', 'typescript', 'bin', 'tsc'), ...options, file], { cwd: PACKAGE, timeout: 120_000 });
});
