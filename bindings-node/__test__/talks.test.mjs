// Do conversations, memory, prompts and stores take what Python's take?

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { AgentRegistry, Cancelled, InvalidInput, Runtime, ScriptedModel, StateStore, open, tool } from 'quorate';

import { fails, inFolder, withKb } from './support/kb.mjs';
import { calls, results } from './support/runs.mjs';

const refused = (message) => fails(InvalidInput, 'invalid_argument', message);
/** A runtime whose model says how often it was asked, and what it was asked. */
const counting = (options) => {
  const seen = [];
  return [new Runtime({ model: new ScriptedModel((request) => (seen.push(request), `answer ${seen.length}`)), ...options }), seen];
};
const said = (request) => JSON.stringify(request.messages);

test('what was said elsewhere joins a conversation in every form', async () => {
  const [runtime, seen] = counting();
  const talk = await runtime.conversation();
  assert.deepEqual([typeof talk.id, talk.user, talk.maxTokens, talk.keep], ['string', null, 4000, 'window']);
  await talk.add('a text');
  const reply = await new ScriptedModel(['a reply']).complete('q');
  await talk.add([{ role: 'user', content: 'and' }, reply]);
  await talk.add([
    { role: 'user', content: 'look it up' },
    { role: 'assistant', content: '', toolCalls: [{ id: 'c', name: 'look', arguments: { n: 2n ** 60n } }] },
    { role: 'tool', toolCallId: 'c', content: 'found' },
    { role: 'assistant', content: 'found it' },
  ]);
  assert.deepEqual((await talk.turns()).length, 3);
  await runtime.ask('Next?', { conversation: talk });
  for (const one of ['a text', 'a reply', 'look it up', 'found it', 'Next?']) assert.match(said(seen[0]), new RegExp(one));
  const turns = await talk.turns();
  assert.deepEqual([turns.length, turns.at(-1).messages.at(-1).content, typeof turns.at(-1).runId, turns[0].runId], [4, 'answer 1', 'string', '']);
  for (const bad of [7, null, {}, [7], [{ role: 'nobody', content: 'x' }], new Map()]) await assert.rejects(talk.add(bad), refused(/message|role|text/));
  await assert.rejects(talk.add([]), fails(InvalidInput, 'empty_input'));
  // Messages alone, with replies among them, are not kept.
  await runtime.ask('Now?', { conversation: [{ role: 'user', content: 'before' }, reply] });
  assert.match(said(seen[1]), /before.*a reply.*Now\?/s);
  assert.equal((await talk.turns()).length, 4);
});

test('what does not fit is left out, summed up or recalled', async () => {
  const words = (about, i) => `${about} number ${i}: ${'and so on '.repeat(20)}`;
  for (const keep of ['window', 'summary', 'recall']) {
    const [runtime, seen] = counting();
    const talk = await runtime.conversation({ maxTokens: 200, keep });
    await talk.add([{ role: 'user', content: 'My dog is called Waldo.' }, { role: 'assistant', content: 'Waldo is a fine name for a dog.' }]);
    for (let i = 0; i < 6; i++) await talk.add([{ role: 'user', content: words('a question', i) }, { role: 'assistant', content: words('an answer', i) }]);
    await runtime.ask('What is the name of my dog?', { conversation: talk });
    const last = said(seen.at(-1));
    assert.match(last, /number 5/, keep);
    assert.ok(!/number 2/.test(last), keep);
    assert.equal(/Waldo is a fine name/.test(last), keep === 'recall', keep);
    // A summary asks the model once more.
    assert.equal(seen.length, keep === 'summary' ? 2 : 1, keep);
    if (keep === 'summary') assert.match(last, /answer 1/);
  }
});

test('a conversation and facts are there for the next process, until they are forgotten', () =>
  inFolder(async (folder) => {
    const place = pathToFileURL(join(folder, 'state'));
    const [first] = counting({ store: place });
    const talk = await first.conversation({ id: 'c1', user: 'ann', maxTokens: 500, keep: 'recall' });
    await first.ask('Hello', { conversation: talk });
    await first.memory.remember('ann', 'Ann is allergic to penicillin.');
    const [second, seen] = counting({ store: await StateStore.open(place) });
    const again = await second.conversation({ id: 'c1', maxTokens: 9 });
    assert.deepEqual([again.user, again.maxTokens, again.keep], ['ann', 500, 'recall']);
    await second.ask('Which antibiotics? Is there an allergy to penicillin?', { conversation: again });
    assert.match(said(seen[0]), /Hello.*answer 1/s);
    assert.match(said(seen[0]), /allergic to penicillin/);
    assert.deepEqual([(await again.export()).turns.length, await again.forget(['nobody'])], [2, 0]);
    assert.equal(await again.forget(), 2);
    assert.deepEqual(await talk.turns(), []);
    assert.equal(await second.memory.forget('ann'), 1);
    assert.deepEqual(await first.memory.facts('ann'), []);
    for (const [options, message] of [[{ id: 7 }, /id/], [{ user: 7 }, /user/], [{ maxTokens: 1.5 }, /maxTokens/], [{ keep: 7 }, /keep/], [7, /options/]]) {
      await assert.rejects(first.conversation(options), refused(message));
    }
  }));

test('memory takes its options, and is stopped', async () => {
  const [{ memory }] = counting();
  for (let i = 0; i < 8; i++) await memory.remember('ann', `Ann takes drug number ${i} each morning.`, { source: i % 2 ? 'chart' : null });
  assert.equal((await memory.recall('ann', 'which drug does Ann take?')).length, 5);
  const found = await memory.recall('ann', 'which drug does Ann take?', { k: 3 });
  assert.equal(found.length, 3);
  assert.deepEqual(Object.keys(found[0]).sort(), ['id', 'source', 'text', 'time']);
  assert.deepEqual((await memory.facts('ann')).map((one) => one.source), [null, 'chart', null, 'chart', null, 'chart', null, 'chart']);
  assert.deepEqual(await memory.recall('ann', 'drug', { k: 0 }), []);
  await assert.rejects(memory.recall('ann', 'drug', { k: -1 }), refused(/k/));
  await assert.rejects(memory.recall('ann', 'drug', { k: 1.5 }), refused(/k/));
  await assert.rejects(memory.recall('ann', 7), refused(/query/));
  await assert.rejects(memory.recall('ann', 'drug', { signal: AbortSignal.abort() }), fails(Cancelled, 'cancelled'));
  await assert.rejects(memory.remember('ann', 'x', { source: 7 }), refused(/source/));
  await assert.rejects(memory.remember('ann', 'x', { sauce: 'y' }), refused(/sauce/));
  await assert.rejects(memory.remember('ann', 'x'.repeat(2 ** 21)), fails(InvalidInput, 'too_large'));
  await assert.rejects(memory.forget('ann', 7), refused(/id/));
  await assert.rejects(memory.facts(undefined), refused(/user/));
});

test('a prompt shows what would be sent, and nothing is', () =>
  withKb(async (kb) => {
    const registry = await AgentRegistry.open({ catalog: null });
    await registry.addAll([{ id: 'kidney', name: 'Kidney', summary: 'Treats diseases of the kidney and advises on metformin in renal failure.', instructions: 'You are {{ name }}.' }]);
    const [runtime, seen] = counting({ kb, registry });
    const talk = await runtime.conversation();
    await talk.add('said before');
    const shown = JSON.stringify(await runtime.prompt('Is metformin contraindicated in renal failure?', { agent: 'kidney', conversation: talk, where: { year: 2024 } }));
    for (const one of ['You are Kidney', 'said before', 'eGFR of 30']) assert.match(shown, new RegExp(one));
    const other = JSON.stringify(await runtime.prompt('Is metformin contraindicated in renal failure?', { where: { year: 1999 } }));
    assert.ok(!/eGFR of 30/.test(other));
    const planned = JSON.stringify(await runtime.prompt('q', { agent: 'kidney', autonomous: true }));
    assert.match(planned, /plan/i);
    assert.deepEqual([seen, await runtime.runs(), (await talk.turns()).length], [[], [], 1]);
    await assert.rejects(runtime.prompt('q', { agent: 'nobody' }), (error) => error.code === 'unknown_id');
    await assert.rejects(runtime.prompt(' '), fails(InvalidInput, 'empty_input'));
    await assert.rejects(runtime.prompt('q', { signal: AbortSignal.abort() }), fails(Cancelled, 'cancelled'));
    await assert.rejects(runtime.prompt('q', { agnet: 'x' }), refused(/agnet/));
  }));

test('what a runtime uses may be closed or dropped under it', async () => {
  const kb = await open(null);
  await kb.add([{ id: 'a', text: 'The dose of metformin is 5 mg.' }]);
  const runtime = new Runtime({ kb });
  assert.match((await runtime.ask('What is the dose of metformin?')).text, /5 mg/);
  await kb.close();
  await assert.rejects(runtime.ask('What is the dose of metformin?'), (error) => error.code === 'closed');
  assert.deepEqual((await runtime.runs()).map((run) => run.status), ['done', 'failed']);
  // A view of a run, a conversation and a memory keep what they need.
  const send = tool({ name: 'send', effect: 'write', run: () => 'sent' });
  const parts = await (async () => {
    const one = new Runtime({ model: new ScriptedModel((request) => results(request).c0 ?? calls(['send'])), tools: [send] });
    const { runId } = await one.ask('q');
    return [await one.run(runId), await one.conversation(), one.memory, one.stream, runId];
  })();
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    await pause(5);
  }
  const [run, talk, memory, stream, runId] = parts;
  assert.equal((await run.events()).at(-1).type, 'waiting');
  await talk.add('x');
  await memory.remember('ann', 'y');
  assert.equal((await stream.resume(runId, { c0: 'approve' }).result()).text, 'sent');
  assert.equal((await run.answer()).text, 'sent');
  assert.equal(run.status, 'waiting');
});

test('a store is memory, a folder, a URL or an object', () =>
  inFolder(async (folder) => {
    const stores = [undefined, null, new StateStore(), new StateStore(null), await StateStore.open(), join(folder, 'a'), pathToFileURL(join(folder, 'b')), new StateStore(join(folder, 'c'))];
    for (const store of stores) {
      const [runtime] = counting({ store });
      await runtime.ask('q');
      assert.equal((await runtime.runs()).length, 1);
    }
    const shared = new StateStore();
    const [[one], [two]] = [counting({ store: shared }), counting({ store: shared })];
    await one.ask('q');
    assert.equal((await two.runs({ status: 'done' })).length, 1);
    assert.deepEqual(await two.runs({ status: 'waiting' }), []);
    for (const bad of [7, {}, [], true]) assert.throws(() => new Runtime({ model: new ScriptedModel([]), store: bad }), (error) => ['invalid_argument'].includes(error.code), String(bad));
  }));
