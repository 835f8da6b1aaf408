// Are the right experts found from Node?

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { AgentRegistry, Conflict, Embedder, InvalidInput, Locked, Match, NotFound } from 'quorate';

import { fails, inFolder } from './support/kb.mjs';

const QUESTION = 'Is a 510(k) needed for our ECG app?';
const NURSE = {
  id: 'night-nurse',
  name: 'Night nurse',
  summary: 'Answers questions about the night shift of a hospital ward.',
  costPerCall: 0.01,
  modelTier: 'small',
  boundaries: [{ topic: 'Surgery', referTo: 'surgeon' }],
  skills: [{ id: 'shift', examples: ['Who is on call tonight?', 'When does the night shift end?'] }],
  tags: ['ward'],
};

const healthcare = new AgentRegistry({ catalog: 'healthcare' });

test('the healthcare catalogue answers', async () => {
  const matches = await healthcare.match(QUESTION, { k: 5 });
  assert.equal(matches.length, 5);
  const [best] = matches;
  assert.ok(best instanceof Match);
  assert.ok(best.agent.capabilities.some(({ name }) => name.startsWith('regulatory.fda')), best.agent.id);
  assert.ok(best.confidence > 0 && best.confidence <= 1);
  const why = best.explain();
  assert.ok(Math.abs(why.dense + why.lexical + why.topics + why.weight + why.learning - best.score) < 1e-6);
  assert.match(String(why), /confidence/);
  const required = await healthcare.match(QUESTION, { require: ['regulatory.fda'], maxCost: 100, where: "status = 'active'" });
  assert.ok(required.every(({ agent }) => agent.capabilities.some(({ name }) => `${name}.`.startsWith('regulatory.fda.'))));
});

test('it abstains rather than guesses', async () => {
  assert.deepEqual(await healthcare.match('Who won the football match last night?', { abstain: true, minConfidence: 0.9 }), []);
  assert.ok((await healthcare.match(QUESTION, { abstain: true, minConfidence: 0 })).length > 0);
});

test('a panel complements itself, and says why', async () => {
  const panel = await healthcare.selectPanel('Is a 510(k) needed, and will Medicare reimburse our ECG app?', { size: 3, diversity: 0.5 });
  assert.equal(panel.members.length, 3);
  assert.equal(new Set(panel.members.map((m) => m.agent.id)).size, 3);
  assert.ok(panel.members.every((m) => m instanceof Match && m.gain >= 0));
  assert.ok(panel.coverage.value > 0 && panel.coverage.byFacet.length > 1);
  assert.match(panel.explain(), new RegExp(panel.members[0].agent.id));
  await assert.rejects(healthcare.selectPanel('x', { size: 0 }), fails(InvalidInput, 'invalid_argument', /size/));
});

test('agents are kept, in camelCase, and matched', async () => {
  const registry = new AgentRegistry({ catalog: null });
  assert.deepEqual(await registry.list(), []);
  const stored = await registry.add(NURSE);
  assert.equal(stored.costPerCall, 0.01);
  assert.equal(stored.boundaries[0].referTo, 'surgeon');
  assert.deepEqual(stored.languages, ['en']);
  assert.deepEqual(await registry.get('night-nurse'), stored);
  await assert.rejects(registry.add(NURSE), fails(Conflict, 'duplicate_id'));
  // What `get` gives can be given back, and so can the snake_case of catalogue files.
  await registry.update({ ...stored, summary: 'Changed.' });
  const { costPerCall, ...rest } = NURSE;
  await registry.update({ ...rest, cost_per_call: costPerCall });
  assert.equal((await registry.versions('night-nurse')).length, 3);
  assert.equal((await registry.match('Who is on call?'))[0].agent.id, 'night-nurse');
  assert.deepEqual((await registry.list("tags CONTAINS 'ward'")).map((a) => a.id), ['night-nurse']);
  assert.deepEqual(await registry.list({ where: "tags CONTAINS 'other'" }), []);
  await registry.remove('night-nurse');
  assert.equal(await registry.count(), 0);
  await assert.rejects(registry.get('night-nurse'), fails(NotFound, 'unknown_id'));
  await assert.rejects(registry.add({ ...NURSE, colour: 'blue' }), fails(InvalidInput, 'invalid_argument', /colour/));
  await assert.rejects(healthcare.add({ ...NURSE, capabilities: [{ name: 'no.such' }] }), fails(NotFound, 'unknown_capability'));
});

test('outcomes teach', async () => {
  const registry = new AgentRegistry({ catalog: 'healthcare' });
  const before = await registry.match(QUESTION, { k: 3 });
  const second = before[1].agent.id;
  for (let i = 0; i < 20; i++) {
    await registry.recordOutcome(second, QUESTION, 1);
    await registry.recordOutcome(before[0].agent.id, QUESTION, 0);
  }
  const after = (await registry.match(QUESTION, { k: 3 })).find((m) => m.agent.id === second);
  assert.ok(after.explain().learning > 0);
  assert.equal(after.explain().outcomes, 20);
  await assert.rejects(registry.recordOutcome(second, QUESTION, 2), fails(InvalidInput, 'invalid_argument', /0 to 1/));
  await assert.rejects(registry.recordOutcome('nobody', QUESTION, 1), fails(NotFound, 'unknown_id'));
});

test('cards and files go in and out', () =>
  inFolder(async (folder) => {
    const registry = new AgentRegistry({ catalog: null });
    await registry.add(NURSE);
    const card = await registry.exportCard('night-nurse');
    assert.equal(card.name, 'Night nurse');
    const other = new AgentRegistry({ catalog: null });
    assert.equal((await other.importCard(card)).id, 'night-nurse');
    await other.remove('night-nurse');
    assert.equal((await other.importCard(JSON.stringify(card))).name, 'Night nurse');
    await assert.rejects(other.importCard('{'), fails(InvalidInput, 'invalid_argument', /JSON/));
    const path = join(folder, 'agents.yaml');
    await registry.save(path);
    const third = new AgentRegistry({ catalog: path });
    assert.deepEqual(await third.get('night-nurse'), await registry.get('night-nurse'));
    assert.equal(await other.load(path), 1);
  }));

test('a registry in a file is durable and has one owner', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'agents.db');
    const registry = await AgentRegistry.open({ path, catalog: null, embedder: new Embedder('builtin') });
    await registry.add(NURSE);
    await assert.rejects(AgentRegistry.open({ path, catalog: null }), fails(Locked, 'locked'));
    await registry.close();
    await assert.rejects(registry.list(), fails(Conflict, 'closed'));
    const again = await AgentRegistry.open({ path, catalog: null });
    assert.deepEqual((await again.list()).map((a) => a.id), ['night-nurse']);
    await again.close();
    await assert.rejects(AgentRegistry.open({ catalog: join(folder, 'none.yaml') }), fails(NotFound, 'not_found'));
    await assert.rejects(AgentRegistry.open({ katalog: null }), fails(InvalidInput, 'invalid_argument', /katalog/));
  }));

test('tenants see their own agents', async () => {
  const registry = new AgentRegistry({ catalog: null });
  const [acme, other] = [await registry.tenant('acme'), await registry.tenant('other')];
  await acme.add(NURSE);
  assert.equal((await acme.match('Who is on call?')).length, 1);
  assert.deepEqual(await other.match('Who is on call?'), []);
  assert.deepEqual(await other.list(), []);
  assert.equal((await registry.match('Who is on call?', { tenant: 'acme' })).length, 1);
  await assert.rejects(other.match('x', { tenant: 'acme' }), fails(Conflict, 'tenant_violation'));
});

test('changes are heard as they happen', async () => {
  const registry = await AgentRegistry.open({ catalog: null });
  const events = await registry.subscribe();
  // More than the threads of the pool: none of them waits.
  const quiet = await Promise.all(Array.from({ length: 200 }, async () => (await registry.tenant('quiet')).subscribe()));
  const waiting = quiet.map((one) => one.next());
  await registry.addAll([NURSE, { ...NURSE, id: 'day-nurse', tenant: 'acme' }]);
  await registry.remove('day-nurse');
  const heard = [];
  for await (const { kind, id, tenant } of events) {
    heard.push([kind, id, tenant]);
    if (heard.length === 3) break;
  }
  assert.deepEqual(heard, [['added', 'night-nurse', null], ['added', 'day-nurse', 'acme'], ['removed', 'day-nurse', 'acme']]);
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  assert.deepEqual((await Promise.all(waiting)).map(({ value }) => value.id), quiet.map(() => 'night-nurse'));
  const last = quiet.map((one) => one.next());
  await Promise.all(quiet.map((one) => one.return()));
  assert.ok((await Promise.all(last)).every(({ done }) => done));
  await assert.rejects(registry.addAll([NURSE]), fails(Conflict, 'duplicate_id', /night-nurse/));
  await assert.rejects(registry.addAll(NURSE), fails(InvalidInput, 'invalid_argument', /array/));
});

test('results are plain values', async () => {
  const [match] = await healthcare.match(QUESTION, { k: 1 });
  const plain = JSON.parse(JSON.stringify(match));
  assert.deepEqual([plain.agent.id, plain.score, plain.explanation.dense], [match.agent.id, match.score, match.explain().dense]);
  const panel = await healthcare.selectPanel(QUESTION, { size: 2 });
  assert.equal(JSON.parse(JSON.stringify(panel)).members[1].gain, panel.members[1].gain);
  assert.ok('regulatory.fda' in (await healthcare.taxonomy()));
});

test('hostile questions, languages, cards and files', () =>
  inFolder(async (folder) => {
    const registry = new AgentRegistry({ catalog: null });
    await registry.add({ ...NURSE, languages: ['zh-Hant-TW'] });
    await assert.rejects(registry.match(' '), fails(InvalidInput, 'empty_input', /question/));
    await assert.rejects(registry.match('x', { language: 'english' }), fails(InvalidInput, 'invalid_argument', /language/));
    assert.equal((await registry.match('shift', { language: 'zh-TW' })).length, 1);
    assert.equal((await registry.match('shift', { language: 'zh-Hans' })).length, 0);
    const card = {
      name: '天気予報', description: 'Knows the weather.', version: '1', url: 'https://w.example/x', preferredTransport: 'GRPC',
      capabilities: { streaming: true }, defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'], skills: [],
    };
    const { id, card: kept } = await registry.importCard(card);
    assert.deepEqual(JSON.parse(kept), card);
    const out = await registry.exportCard(id);
    assert.deepEqual([out.preferredTransport, out.capabilities.streaming], ['GRPC', true]);
    if (process.platform !== 'win32') await assert.rejects(registry.load('/dev/zero'), fails(InvalidInput, 'load_failed', /regular/));
    await assert.rejects(AgentRegistry.open({ path: '' }), fails(InvalidInput, 'invalid_argument', /path/));
    assert.ok(folder);
  }));

test('questions that are nobody\'s are stated, and confidence is fitted', async () => {
  const registry = await AgentRegistry.open({ catalog: null });
  await registry.add({ id: 'kidney', name: 'Nephrologist', summary: 'Treats diseases of the kidney.' });
  assert.deepEqual(await registry.outOfScope(), []);
  await registry.setOutOfScope(['Will it rain tomorrow?', 'Sing a song.']);
  assert.deepEqual(await registry.outOfScope(), ['Will it rain tomorrow?', 'Sing a song.']);
  const before = await registry.calibration();
  const questions = [['Which drugs harm the kidney?', 'kidney'], ['Who won the match?', null]];
  const after = await registry.calibrate(questions);
  assert.deepEqual(await registry.calibration(), after);
  assert.notDeepEqual(after, before);
  assert.deepEqual(Object.keys(after).sort(), Object.keys(before).sort());
  assert.ok('fewDense' in after && Object.values(after).every(Number.isFinite));
  for (const given of [new Map(questions), Object.fromEntries(questions)]) assert.ok(Number.isFinite((await registry.calibrate(given)).intercept));
  for (const wrong of [7, ['x'], [['a']], [['a', 'b', 'c']], [[7, null]], [['a', 7]]]) {
    await assert.rejects(registry.calibrate(wrong), fails(InvalidInput, 'invalid_argument'));
  }
  await assert.rejects(registry.calibrate([['x', 'nobody']]), fails(NotFound, 'unknown_id'));
  await assert.rejects(registry.setOutOfScope([' ']), fails(InvalidInput, 'invalid_argument'));
  const acme = await registry.tenant('acme');
  await assert.rejects(acme.calibrate(questions), fails(Conflict, 'tenant_violation'));
});
