// Does JSON.stringify write results whole?

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AgentRegistry, consensus, open } from 'quorate';

const BIG = 2n ** 60n + 1n;
const json = (value) => JSON.parse(JSON.stringify(value));

test('BigInts are written as their digits, wherever they stand', async () => {
  const kb = await open(null);
  await kb.add([
    { id: 'a', text: 'Metformin lowers glucose.', metadata: { big: BIG, list: [1, BIG], inner: { big: BIG } } },
    { id: 'b', text: 'Insulin lowers glucose.', metadata: { big: 1 } },
  ]);
  const document = await kb.get('a');
  assert.equal(document.metadata.big, BIG);
  const written = { big: String(BIG), list: [1, String(BIG)], inner: { big: String(BIG) } };
  assert.deepEqual(json(document).metadata, written);
  assert.deepEqual(json(document.metadata.inner), written.inner);
  assert.deepEqual(json({ ...document }).metadata, written);
  assert.deepEqual(Object.keys(document.metadata), ['big', 'list', 'inner']);
  const [hit] = await kb.search('metformin');
  assert.deepEqual(json(hit).metadata, written);
  assert.deepEqual(await kb.minMax('big'), [1, BIG]);
  assert.deepEqual(json(await kb.minMax('big')), [1, String(BIG)]);
  assert.deepEqual(json(await kb.facets('big')), [[1, 1], [String(BIG), 1]]);
  // What looks like the mark that the library puts on such numbers is nothing but metadata.
  const odd = { $big: 'no number', inner: { $big: '12', $$big: 7 } };
  await kb.updateMetadata('b', odd);
  assert.deepEqual((await kb.get('b')).metadata, odd);
  assert.deepEqual((await kb.search('insulin'))[0].metadata, odd);
  const vote = await consensus.majorityVote({ items: [BIG, BIG], raters: ['a', 'b'], values: [BIG, BIG] });
  assert.deepEqual(json(vote).labels, { [String(BIG)]: String(BIG) });
  const found = consensus.surprisinglyPopular([BIG, BIG], [[0.5, 0.5], [0.5, 0.5]], { options: [BIG, 2n] });
  assert.deepEqual([found.answers, json(found).answers, json(found).answer], [[BIG], [String(BIG)], String(BIG)]);
});

test('a page of documents keeps where the next one begins', async () => {
  const kb = await open(null);
  await kb.add(['a', 'b', 'c'].map((id) => ({ id, text: 'text' })));
  const page = await kb.documents({ limit: 2 });
  assert.deepEqual(json(page), { documents: [...page], next: page.next });
  assert.deepEqual(Object.keys(page), ['0', '1', 'next']);
  assert.equal(json(await kb.documents()).next, null);
});

test('what is made of private parts or typed arrays writes all of it', async () => {
  const score = await consensus.scorePanel({ ann: 'yes', bob: 'no', eve: 'yes' });
  assert.equal(json(score).lines.join('\n'), score.explain());
  assert.equal(json(score).decision, 'yes');
  const truth = await consensus.dawidSkene([['x', 'y'], ['x', 'y'], ['x', 'x']]);
  const written = json(truth);
  assert.deepEqual(Object.values(written.confusion).flat().map((row) => row.length), Array(6).fill(2));
  assert.equal(Object.values(written.probabilities).length, 2);
  const registry = await AgentRegistry.open();
  const [match] = await registry.match('Is a 510(k) needed for our ECG app?');
  assert.deepEqual([json(match).agent.id, json(match).explanation.dense], [match.agent.id, match.explain().dense]);
  const panel = await registry.selectPanel('Is a 510(k) needed for our ECG app?');
  assert.deepEqual([json(panel).text, json(panel).members.length], [panel.explain(), panel.members.length]);
});
