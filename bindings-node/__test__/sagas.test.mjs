// Are all steps of a saga done, or all undone; does a draft come of the right template?

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { QuorateError, StateStore, workflows } from 'quorate';

import { inFolder } from './support/kb.mjs';

const { Draft, Engine, JobStory, Retry, Saga, Stories } = workflows;
const coded = (code) => (error) => error instanceof QuorateError && error.code === code;
const SENTENCE = 'As a shop owner, when order 1042 is four days late, I want to find where the parcel is, so I can tell the customer.';
const PARTS = { situation: 'an order is late', motivation: 'see where it is', expectedOutcome: 'tell the customer' };

test('steps are done once and give what they gave', async () => {
  const store = new StateStore();
  let ran = 0;
  const order = async (saga) => {
    assert.equal(saga.status, 'running');
    return saga.do('reserve', async () => ({ seat: '12A', run: (ran += 1), big: 2n ** 60n }));
  };
  const given = { seat: '12A', run: 1, big: 2n ** 60n };
  assert.deepEqual({ ...(await store.saga('order', order)) }, given);
  assert.deepEqual({ ...(await store.saga('order', (saga) => saga.do('reserve', () => assert.fail()))) }, given);
  const by = await store.saga('other');
  assert.equal(await by.do('a', () => undefined), null);
  await by.finish();
  assert.equal(by.status, 'done');
  await assert.rejects(by.do('b', () => 1), coded('invalid_argument'));
  by.close();
  await assert.rejects(by.do('b', () => 1), coded('closed'));
});

test('a step that fails undoes those before it in reverse, and throws what it threw', async () => {
  const [store, undone, thrown] = [new StateStore(), [], new RangeError('the card is not valid')];
  let saga;
  const order = store.saga('order', async (given) => {
    saga = given;
    for (const name of ['a', 'b']) await saga.do(name, () => name, { undo: async (value) => undone.push(value) });
    await saga.do('nothing to undo', () => 1);
    await saga.do('pay', () => Promise.reject(thrown), { undo: () => assert.fail() });
  });
  await assert.rejects(order, (error) => error === thrown);
  assert.deepEqual([undone, saga.status], [['b', 'a'], 'failed']);
  const own = store.saga('own', async (given) => {
    await given.do('a', () => 1, { undo: (value) => undone.push(value) });
    throw thrown;
  });
  await assert.rejects(own, (error) => error === thrown);
  assert.deepEqual(undone, ['b', 'a', 1]);
});

test('what cannot be undone is said, and tried again when it is opened again', async () => {
  const [store, undone] = [new StateStore(), []];
  let works = false;
  const order = async (saga) => {
    await saga.do('a', () => 'a', { undo: (value) => undone.push(value) });
    await saga.do('b', () => 'b', {
      undo: (value) => {
        if (!works) throw new Error('no connection');
        undone.push(value);
      },
    });
    await saga.do('c', () => {
      throw new Error('no');
    });
  };
  await assert.rejects(store.saga('order', order, { undo: new Retry({ maxAttempts: 2, initial: 0 }) }), (error) => error.code === 'compensation_failed' && error.message.includes('no connection'));
  assert.deepEqual(undone, []);
  works = true;
  await assert.rejects(store.saga('order', order), coded('callback'));
  assert.deepEqual(undone, ['b', 'a']);
});

test('a saga that is asked by its own step, or is somebody else’s, says so', async () => {
  const store = new StateStore();
  const saga = await store.saga('order');
  await assert.rejects(store.saga('order'), coded('run_conflict'));
  await assert.rejects(saga.do('a', () => saga.do('b', () => 1)), coded('invalid_argument'));
  saga.close();
  for (const [call, code] of [
    [() => store.saga(''), 'invalid_argument'],
    [() => store.saga('\ud800'), 'invalid_text'],
    [() => store.saga('s', { recover: 'back' }), 'invalid_argument'],
    [() => store.saga('s', { undo: 0 }), 'invalid_argument'],
    [() => store.saga('t', (one) => one.do('a', null)), 'invalid_argument'],
    [() => store.saga('u', (one) => one.do('a', () => 1, { undo: 7 })), 'invalid_argument'],
    [async () => new Saga(), 'invalid_argument'],
    [async () => new Draft(), 'invalid_argument'],
    [async () => new Stories(), 'invalid_argument'],
  ]) {
    await assert.rejects(call, coded(code), String(call));
  }
});

const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { StateStore } from 'quorate';
const [, folder, notes, dies, recover] = process.argv;
const note = (text) => appendFileSync(notes, text + '\\n');
const store = await StateStore.open(folder);
await store.saga('order', async (saga) => {
  for (const name of 'abc') {
    await saga.do(name, () => {
      note(name);
      if (name === dies) process.kill(process.pid, 'SIGKILL');
      return name;
    }, { undo: (value) => note('undo ' + name + ' ' + value) });
  }
}, { recover });
`;

for (const recover of ['undo', 'forward']) {
  test(`a process that is killed in the middle: ${recover}`, () =>
    inFolder(async (folder) => {
      const notes = join(folder, 'notes');
      const run = async (dies) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, join(folder, 'store'), notes, dies, recover], { cwd: new URL('..', import.meta.url), stdio: 'ignore' });
        return once(child, 'exit');
      };
      assert.deepEqual(await run('b'), [null, 'SIGKILL']);
      assert.deepEqual(await run('-'), [recover === 'undo' ? 1 : 0, null]);
      const told = (await readFile(notes, 'utf8')).trim().split('\n');
      assert.deepEqual(told, recover === 'undo' ? ['a', 'b', 'undo b null', 'undo a a'] : ['a', 'b', 'b', 'c']);
    }));
}

test('a draft is of the template that does the job, and runs when it is added', async () => {
  const engine = new Engine();
  const draft = await engine.generate(JobStory.parse(SENTENCE), { customization: { queue: { name: 'late' } } });
  assert.deepEqual([draft.template, draft.input, draft.unfilled], ['track_order', { order: '1042' }, []]);
  assert.ok(draft.score > 0.35 && draft.workflow.includes('name: late'));
  assert.match(String(draft.explain()), /track_order/);
  assert.deepEqual(await engine.runs(), []);
  await engine.add(draft.workflow);
  const run = await engine.start(draft.id, draft.input, { offline: true });
  assert.equal(await run.wait({ timeout: 60 }), 'completed');
  assert.deepEqual((await engine.generate(PARTS, { type: 'track_order' })).unfilled[0].path, 'input.order');
  const moon = { situation: 'the moon is full', motivation: 'howl', expectedOutcome: 'be heard' };
  await assert.rejects(engine.generate(moon), coded('no_template'));
  await assert.rejects(engine.generate(moon, { type: 7 }), coded('invalid_argument'));
  await assert.rejects(engine.generate(moon, { type: 'track_order', customization: [1] }), coded('invalid_argument'));
  await engine.close();
});

test('stories say what they say, and are kept with what was measured', async () => {
  assert.throws(() => JobStory.parse('When a patient falls, I want to be called'), coded('story_syntax'));
  assert.throws(() => new JobStory({ ...PARTS, situation: ' ' }), coded('invalid_argument'));
  assert.throws(() => new JobStory({ ...PARTS, who: 'me' }), coded('invalid_argument'));
  assert.throws(() => new JobStory({ ...PARTS, outcomes: ['a', 'a'] }), coded('invalid_argument'));
  assert.throws(() => new JobStory({ ...PARTS, title: 'x'.repeat(1000) }), coded('too_large'));
  const store = new StateStore();
  const story = new JobStory({ ...PARTS, outcomes: [{ metric: 'hours', baseline: 30, target: 4 }] });
  const { id } = await store.stories.add(story);
  assert.equal((await store.stories.outcome(id, 'hours', 12)).story.status, 'measuring');
  const kept = await store.stories.outcome(id, 'hours', 3.5);
  assert.ok(kept.story instanceof JobStory && kept.story.status === 'achieved');
  assert.deepEqual(kept.measurements.map(({ value, reached }) => [value, reached]), [[12, false], [3.5, true]]);
  await assert.rejects(store.stories.outcome(id, 'hour', 1), coded('not_found'));
  await assert.rejects(store.stories.outcome(id, 'hours', NaN), coded('not_finite'));
  assert.equal((await store.stories.list({ status: 'achieved' })).length, 1);
  assert.equal((await store.stories.abandon(id)).story.status, 'abandoned');
  await store.stories.remove(id);
  await assert.rejects(store.stories.get(id), coded('unknown_id'));
});
