// Is a state store what its options say, and does it keep what it was given?

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { QuorateError, Runtime, ScriptedModel, StateStore } from 'quorate';

const fails = (code, says) => (error) => error instanceof QuorateError && error.code === code && (says === undefined || error.message.includes(says));

async function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-state-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('bad options of a store are refused by name', () => {
  assert.equal(new StateStore(null, { tenant: 'acme', durability: 'async', workerId: 'ward-3', lease: 10 }).tenant, 'acme');
  for (const [given, says] of [
    [{ durability: 'never' }, 'durability'],
    [{ lease: 0 }, 'lease'],
    [{ lease: true }, 'lease'],
    [{ workerId: '' }, 'workerId'],
    [{ tenant: '' }, 'tenant'],
    [{ tenant: 3 }, 'tenant'],
    [{ path: 'x' }, 'path'],
  ]) {
    assert.throws(() => new StateStore(null, given), fails('invalid_argument', says), says);
  }
  assert.throws(() => new StateStore(3), fails('invalid_argument'));
});

test('the address of a database is no folder, and its password is not told', async () => {
  for (const place of ['postgresql://user:secret@host/db', 's3://bucket/runs']) {
    const safe = (error) => fails('unsupported', 'folder')(error) && !error.message.includes('secret');
    assert.throws(() => new StateStore(place), safe);
    assert.throws(() => new Runtime({ model: new ScriptedModel([]), store: place }), safe);
    await assert.rejects(StateStore.open(place), safe);
  }
});

test('a closed store does nothing, and a runtime of it works on', () =>
  inFolder(async (folder) => {
    const store = await StateStore.open(folder);
    const runtime = new Runtime({ model: new ScriptedModel(['one', 'two']), store });
    const first = await runtime.ask('go');
    await store.close();
    await store.close();
    assert.equal((await (await runtime.run(first.runId)).answer()).text, 'one');
    assert.equal((await runtime.ask('go on')).text, 'two');
    const { checkpoints } = store;
    for (const call of [() => checkpoints.list(), () => checkpoints.get('t'), () => checkpoints.threads(), () => checkpoints.copy('a', 'b'), () => checkpoints.delete('a'), () => checkpoints.prune()]) {
      await assert.rejects(call, fails('closed'));
    }
    assert.throws(() => new Runtime({ model: new ScriptedModel([]), store }), fails('closed'));
  }));

test('bad calls of checkpoints are refused by name', async () => {
  const { checkpoints } = new StateStore();
  assert.deepEqual([await checkpoints.list(), await checkpoints.list({ thread: 'nobody' }), await checkpoints.threads()], [[], [], []]);
  assert.deepEqual([await checkpoints.get('nobody'), await checkpoints.delete('nobody')], [undefined, false]);
  for (const [call, says] of [
    [() => checkpoints.list({ thread: 3 }), 'thread'],
    [() => checkpoints.list({ limit: -1 }), 'limit'],
    [() => checkpoints.list({ limits: 1 }), 'limits'],
    [() => checkpoints.get(null), 'thread'],
    [() => checkpoints.prune({ keep: 0 }), '1 checkpoint'],
    [() => checkpoints.prune({ olderThan: '30 days' }), 'olderThan'],
    [() => checkpoints.prune({ olderThan: -1 }), 'olderThan'],
    [() => checkpoints.prune({ dryRun: 'no' }), 'dryRun'],
  ]) {
    await assert.rejects(call, fails('invalid_argument', says), says);
  }
  await assert.rejects(checkpoints.copy('nobody', 'b'), fails('unknown_id'));
});

test('what is damaged is said, and nothing is overwritten', () =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'state.db'), 'no database'.repeat(1000));
    await assert.rejects(StateStore.open(folder), fails('corrupt', 'state.db'));
    assert.deepEqual(readdirSync(folder).includes('state.db'), true);
  }));
