// Does what loops over the user's data end when it is told to, in the native half too?

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { AgentRegistry, Cancelled, compare, evaluate, loadBeir, open, readTrecRun, writeTrecRun } from 'quorate';

import { native } from '../dist/native.js';
import { DOCUMENTS, fails, inFolder } from './support/kb.mjs';

const RUN = { q: { d: 1 } };
const QRELS = { q: { d: 1 } };

test('work that is cancelled as it begins ends', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'run.txt');
    await writeTrecRun(RUN, path);
    const kb = await native.open(null, undefined, {});
    const documents = new native.Documents(false);
    documents.push(DOCUMENTS);
    await kb.write(documents, false, undefined, undefined);
    const registry = native.AgentRegistry.open(undefined, { catalog: null });
    await registry.ready();
    const raised = new native.Cancel();
    raised.cancel();
    const calls = {
      facets: () => kb.facets('year', {}, raised),
      minMax: () => kb.minMax('year', {}, raised),
      documents: () => kb.documents({ sort: 'year' }, raised),
      ids: () => kb.ids(undefined, raised),
      count: () => kb.count('year > 2020', raised),
      context: () => kb.context('metformin', {}, raised),
      evaluate: () => native.evaluate(RUN, QRELS, ['map'], false, raised),
      compare: () => native.compare(RUN, RUN, QRELS, 'map', 0, raised),
      readTrecRun: () => native.readTrecRun(path, raised),
      match: () => registry.match('kidney', {}, raised),
      selectPanel: () => registry.selectPanel('kidney', {}, raised),
      calibrate: () => registry.calibrate([['kidney', null]], raised),
      setOutOfScope: () => registry.setOutOfScope(['Will it rain?'], raised),
    };
    for (const [name, call] of Object.entries(calls)) await assert.rejects(call, (error) => error.code === 'cancelled', name);
    assert.deepEqual(await registry.outOfScope(), []);
    assert.equal(await kb.count(undefined, undefined), DOCUMENTS.length);
  }));

test('a signal stops each of them', async () => {
  const [kb, registry] = [await open(null), await AgentRegistry.open({ catalog: null })];
  await kb.add(DOCUMENTS);
  const signal = AbortSignal.abort(new Error('my reason'));
  const options = { signal };
  const isMine = (error) => fails(Cancelled, 'cancelled')(error) && error.cause.message === 'my reason';
  const calls = {
    facets: () => kb.facets('year', options),
    minMax: () => kb.minMax('year', options),
    ids: () => kb.ids(null, options),
    count: () => kb.count('year > 2020', options),
    evaluate: () => evaluate(RUN, QRELS, options),
    compare: () => compare(RUN, RUN, QRELS, options),
    loadBeir: () => loadBeir('/nowhere', options),
    readTrecRun: () => readTrecRun('/nowhere', options),
    match: () => registry.match('kidney', options),
    selectPanel: () => registry.selectPanel('kidney', options),
    addAll: () => registry.addAll([], options),
    load: () => registry.load('/nowhere', options),
    calibrate: () => registry.calibrate([], options),
    setOutOfScope: () => registry.setOutOfScope([], options),
  };
  for (const [name, call] of Object.entries(calls)) await assert.rejects(call, isMine, name);
  // A signal that is never raised changes nothing.
  const quiet = { signal: new AbortController().signal };
  assert.deepEqual((await kb.facets('year', quiet))[0], [2019, 1]);
  assert.deepEqual(await kb.minMax('year', { where: 'year > 2019', ...quiet }), [2021, 2024]);
  assert.equal(await kb.count('year > 2019', quiet), 2);
  assert.deepEqual(await kb.ids('year > 2021', quiet), ['metformin']);
  assert.deepEqual(await evaluate(RUN, QRELS, { metrics: ['map'], ...quiet }), { map: 1 });
});
