// Do panels of scripted and offline members answer from Node, go on after a kill, and say what went wrong?

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { AgentRegistry, Cancelled, InvalidInput, PanelAnswer, QuorateError, Runtime, ScriptedModel, consensus, open } from 'quorate';

import { inFolder } from './support/kb.mjs';
import { all, never, program } from './support/runs.mjs';

/** It is rejected with this code. */
const fails = (promise, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof QuorateError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });

const TYPES = ['parallel', 'sequential', 'consensus', 'debate', 'socratic', 'delphi'];
const options = ['yes', 'no'];

/** What a request asks for: `ballot`, `statement`, `verdict`, `question`, `answer`, `synthesis` or `seeds`. */
const asked = (request) => /"title":"(\w+)"/.exec(request.messages[0].content.at(-1).text)[1];

/** The ballot where one is asked for; else something of the form asked for. */
const said = (request, ballot) =>
  JSON.stringify(
    {
      ballot,
      verdict: { reason: 'it is clearer', winner: 'first' },
      synthesis: { text: 'All is said.' },
      answer: { text: 'So it is.', claims: [{ claim: 1, status: 'open' }] },
    }[asked(request)] ?? { text: 'This is a statement.' },
  );
const ballot = (choice, confidence = 0.8, reason = 'because') => ({ choice, confidence, reasons: [{ text: reason }] });
const rating = (number, confidence = 0.8, reason = 'because') => ({ number, confidence, reasons: [{ text: reason }] });
/** A member with a model of its own that always gives this ballot. */
const member = (id, given, more = {}) => ({ id, model: new ScriptedModel((request) => said(request, given), { id: `scripted:model-of-${id}` }), ...more });
const five = (type) =>
  type === 'delphi' ? [7, 7, 8, 8, 2].map((n, i) => member(`m${i}`, rating(n))) : ['yes', 'yes', 'yes', 'yes', 'no'].map((c, i) => member(`m${i}`, ballot(c)));
const runtime = () => new Runtime({ model: new ScriptedModel((request) => said(request, ballot('yes', 0.6))) });
const asks = (type) => (type === 'delphi' ? {} : { options });

for (const type of TYPES) {
  test(`a ${type} panel answers`, async () => {
    const rt = runtime();
    const panel = await rt.panel('Is it?', { type, members: five(type), ...asks(type) });
    assert.ok(panel instanceof PanelAnswer);
    assert.deepEqual([panel.type, panel.status, panel.question, panel.dropped], [type, 'done', 'Is it?', []]);
    assert.equal(panel.score.decision, type === 'delphi' ? 7 : 'yes');
    assert.ok(panel.score instanceof consensus.PanelScore && panel.baseline instanceof consensus.PanelScore);
    assert.deepEqual([panel.rounds[0].stage, panel.rounds[0].round], ['blind', 1]);
    assert.ok(panel.rounds.every((round) => round.score instanceof consensus.PanelScore || round.score === null || round.asked === 0));
    const blind = panel.ballots.filter(({ round }) => round === 1).map((one) => one.member);
    assert.deepEqual(blind.sort(), ['m0', 'm1', 'm2', 'm3', 'm4']);
    assert.ok(panel.minority.flatMap((one) => one.ballots).some((one) => one.member === 'm4'));
    assert.ok(panel.usage.input > 0 && panel.cost === null);
    assert.deepEqual([panel.conformity.flips, panel.conformity.toMajority], [0, 0]);
    const runs = await rt.runs();
    assert.deepEqual([runs.at(-1).runId, runs.at(-1).kind], [panel.runId, 'panel']);
    if (type === 'sequential') assert.equal(panel.order.exact, true);
    if (type === 'debate') assert.deepEqual([panel.verdict.winner, panel.verdict.flipped], [null, true]);
    if (type === 'socratic') assert.ok(panel.claims.length > 0 && panel.coverage.length === 6);
    if (type === 'delphi') assert.equal(panel.rounds.at(-1).delphi.items[0].median, 7);
  });
}

test('a score is that of scorePanel, and members that share a model are no independent voters', async () => {
  const panel = await runtime().panel('Is it?', { members: five('parallel'), options });
  const ballots = panel.ballots.map((one) => ({ voter: one.member, choice: one.position, confidence: one.confidence, weight: one.weight }));
  const groups = Object.fromEntries(panel.members.map(({ id, group }) => [id, group]));
  const expected = await consensus.scorePanel(ballots, { options, groups });
  // Its arithmetic names the ballots in an order of its own.
  const { lines, ...score } = panel.score.toJSON();
  const { lines: others, ...same } = expected.toJSON();
  assert.deepEqual(score, same);
  assert.equal(lines[0], others[0]);
  const alone = await runtime().panel('Is it?', { members: ['a_b', 'cD', 'e'], options });
  assert.deepEqual([alone.score.effectiveVoters, alone.score.groups.rhoIs], [1, 'assumed']);
  assert.deepEqual(alone.score.groups.groups[0].voters, ['a_b', 'cD', 'e']);
});

test('positions are plain values, whatever options are called', async () => {
  const of = (given, more) => runtime().panel('Which?', { members: [member('a', given), member('b', given)], ...more });
  const named = ['a_b', 'cD', '$big'];
  const shares = await of({ probability: { a_b: 0.5, cD: 0.25, $big: 0.25 } }, { options: named, ballot: 'probability', aggregate: 'particles' });
  assert.deepEqual(shares.ballots[0].position, { a_b: 0.5, cD: 0.25, $big: 0.25 });
  assert.deepEqual(Object.keys(shares.alternative.shares).sort(), ['$big', 'a_b', 'cD']);
  assert.deepEqual((await of({ ranking: ['cD', 'a_b'] }, { options: named, ballot: 'ranking' })).ballots[0].position, ['cD', 'a_b']);
  assert.equal((await of({ number: 4 }, { scale: [0, 10] })).score.decision, 4);
  assert.equal((await of({ position: 'Wait and see.' })).score.decision, 'Wait and see.');
});

test('a minority stays byte for byte, and the page escapes what anybody has written', () =>
  inFolder(async (folder) => {
    const words = 'No: it says\n"<script>alert(1)</script>" \u{1f600}  – and  spaces stay.';
    const rt = runtime();
    const panel = await rt.panel('Is <b>it</b>?', { members: [...five('parallel').slice(0, 4), member('lone', ballot('no', 0.9, words))], options });
    assert.equal(panel.minority[0].ballots[0].reasons[0].text, words);
    assert.ok(panel.synthesis.includes(words));
    const kept = JSON.parse(JSON.stringify(panel));
    assert.equal(kept.minority[0].ballots[0].reasons[0].text, words);
    assert.equal(kept.score.effectiveVoters, panel.score.effectiveVoters);
    const path = join(folder, 'panel.html');
    await panel.report(path);
    const page = readFileSync(path, 'utf8');
    assert.equal(page, await panel.html());
    assert.ok(page.startsWith('<!doctype html>') && page.includes('&lt;script&gt;') && !page.includes('<script') && !page.includes('<b>it'));
    assert.doesNotMatch(page, /<[^>]*(?:src|href)\s*=|url\(|@import|https?:\/\//);
    await assert.rejects(panel.report(join(folder, 'no such folder', 'x.html')), QuorateError);
  }));

test('members without a model answer by the sources', async () => {
  const kb = await open(null);
  const text = '\u{1f600} Metformin is contraindicated below an eGFR of 30. Metformin lowers blood glucose.';
  await kb.add([{ id: 'label', text }, { id: 'other', text: 'Aspirin thins the blood.' }]);
  const rt = new Runtime({ kb });
  const panel = await rt.panel('Is metformin contraindicated below an eGFR of 30?', { members: ['ann', 'bob'], options: ['contraindicated', 'safe'] });
  assert.deepEqual([panel.score.decision, panel.score.effectiveVoters], ['contraindicated', 1]);
  assert.ok(panel.citations.length > 0);
  for (const one of panel.citations) assert.equal(text.slice(one.start, one.end), one.text);
  const silent = await rt.panel('Who won the football world cup in 1998?', { members: ['ann', 'bob'], options: ['France', 'Brazil'] });
  assert.deepEqual([silent.status, silent.stoppedBy, silent.score], ['no_consensus', 'quorum_missed', null]);
  await kb.close();
});

test('who is asked is found by the registry', async () => {
  const rt = new Runtime({ registry: await AgentRegistry.open(), model: new ScriptedModel((request) => said(request, ballot('yes'))) });
  const panel = await rt.panel('Is metformin safe in chronic kidney disease?', { size: 3, options });
  assert.ok(panel.members.length >= 1 && panel.members.every(({ why }) => why.startsWith('score')));
  await fails(rt.panel('Is it?', { members: ['no-such-agent'], options }), 'unknown_id');
});

test('streams tell what happens, and the journal tells the same', async () => {
  const rt = runtime();
  const stream = rt.stream.panel('Is it?', { type: 'delphi', members: five('delphi'), rounds: 2 });
  const events = await all(stream);
  const panel = await stream.result();
  const types = events.map(({ type }) => type);
  assert.deepEqual([types[0], types.at(-1)], ['run_start', 'end']);
  assert.equal(types.filter((type) => type === 'ballot').length, panel.ballots.length);
  assert.deepEqual(events.map(({ seq }) => seq), events.map((_, i) => i + 1));
  assert.deepEqual(events.filter(({ type }) => type === 'round_end').map(({ result }) => result), panel.rounds);
  assert.equal(events.find(({ type }) => type === 'ballot').reasons[0].text, 'because');
  assert.deepEqual(events.at(-1).result, panel);
  const run = await rt.run(panel.runId);
  const journal = await run.events();
  assert.deepEqual(journal.map(({ type }) => type), types);
  assert.deepEqual(journal.at(-1).result, panel);
  assert.deepEqual(await run.panel(), panel);
  assert.deepEqual(await run.answer(), panel);
  assert.deepEqual(await rt.resume(panel.runId), panel);
  assert.deepEqual(await rt.resumePanel(panel.runId), panel);
  assert.deepEqual(await rt.stream.resumePanel(panel.runId).result(), panel);
  const session = (await rt.panels()).at(-1);
  assert.deepEqual([session.runId, session.query, session.type, session.status], [panel.runId, 'Is it?', 'delphi', 'completed']);
  await fails(rt.resume(panel.runId, { call: 'approve' }), 'unknown_id');
  const plain = new Runtime({ model: new ScriptedModel(['x']) });
  const { runId } = await plain.ask('x');
  await fails(plain.resumePanel(runId), 'invalid_argument');
  await fails((await plain.run(runId)).panel(), 'invalid_argument');
});

test('each wrong option is named', async () => {
  const rt = runtime();
  for (const [given, code, name] of [
    [{ type: 'Delphi' }, 'invalid_argument', /type/],
    [{ type: 3 }, 'invalid_argument', /type/],
    [{ members: 'ann' }, 'invalid_argument', /members/],
    [{ members: ['ann', 3] }, 'invalid_argument', /members\[1\]/],
    [{ members: [{ role: 'expert' }] }, 'invalid_argument', /members\[0\]: id/],
    [{ members: [{ id: 'ann', role: 'boss' }] }, 'invalid_argument', /role/],
    [{ members: [{ id: 'ann', weight: -1 }] }, 'invalid_argument', /weight/],
    [{ members: [{ id: 'ann', weigth: 1 }] }, 'invalid_argument', /weigth/],
    [{ members: [{ id: 'ann', model: 'openai:x' }] }, 'invalid_argument', /members\[0\]\.model/],
    [{ members: [] }, 'empty_input', /members/],
    [{ members: ['ann', 'ann'] }, 'duplicate_id', /ann/],
    [{ size: 0 }, 'invalid_argument', /size/],
    [{ rounds: 1.5 }, 'invalid_argument', /rounds/],
    [{ rounds: 7, type: 'delphi' }, 'invalid_argument', /rounds/],
    [{ options: ['one'] }, 'invalid_argument', /options/],
    [{ options: 'yes' }, 'invalid_argument', /options/],
    [{ scale: [9, 1] }, 'invalid_argument', /scale/],
    [{ quorum: 0 }, 'invalid_argument', /quorum/],
    [{ quorum: NaN }, 'not_finite', /quorum/],
    [{ anonymous: 'yes' }, 'invalid_argument', /anonymous/],
    [{ judge: 'openai:x' }, 'invalid_argument', /judge/],
    [{ chair: 1 }, 'invalid_argument', /chair/],
    [{ weights: 'equal' }, 'invalid_argument', /weights/],
    [{ where: "doc_id = 'a'" }, 'invalid_argument', /where/],
    [{ budget: { maxCost: -1 } }, 'invalid_argument', /maxCost/],
    [{ seed: -1 }, 'invalid_argument', /seed/],
    [{ ballot: 'vote' }, 'invalid_argument', /ballot/],
    [{ aggregate: 'ants' }, 'invalid_argument', /aggregate/],
    [{ seeds: ['x'] }, 'invalid_argument', /seeds/],
    [{ rho: 2 }, 'invalid_argument', /rho/],
    [{ minorityThreshold: -1 }, 'invalid_argument', /minorityThreshold/],
    [{ similarity: 3 }, 'invalid_argument', /similarity/],
    [{ memberSeconds: 0 }, 'invalid_argument', /memberSeconds/],
    [{ title: 3 }, 'invalid_argument', /title/],
    [{ idempotencyKey: 3 }, 'invalid_argument', /idempotencyKey/],
    [{ judges: 3 }, 'invalid_argument', /judges/],
    [{ signal: 3 }, 'invalid_argument', /signal/],
  ]) {
    const options = { members: ['ann', 'bob'], ...given };
    for (const call of [() => rt.panel('Is it?', options), async () => rt.stream.panel('Is it?', options).result()]) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof QuorateError, String(error));
        assert.equal(error.code, code, JSON.stringify(given));
        assert.match(error.message, name);
        return true;
      });
    }
  }
  await fails(rt.panel(' ', { members: ['ann'] }), 'empty_input');
  await fails(rt.panel(3, { members: ['ann'] }), 'invalid_argument');
  await fails(rt.resumePanel('no-such-run'), 'unknown_id');
  await assert.rejects(rt.resumePanel('x', { models: { ann: 3 } }), InvalidInput);
  assert.deepEqual(await rt.runs(), []);
});

test('missing ballots are counted and named, and a quorum may be missed', async () => {
  const members = [
    member('a', ballot('yes')),
    member('b', ballot('yes')),
    { id: 'late', model: new ScriptedModel(never) },
    { id: 'rambles', model: new ScriptedModel(() => 'I would say that '.repeat(50)) },
    { id: 'refuses', model: new ScriptedModel(() => ({ text: '', refusal: 'I cannot.' })) },
    { id: 'raises', model: new ScriptedModel(() => { throw new Error('no'); }) },
  ];
  const panel = await runtime().panel('Is it?', { members, options, quorum: 0.3, memberSeconds: 1.5 });
  const reasons = Object.fromEntries(panel.dropped.map((one) => [one.member, one.reason]));
  assert.deepEqual(reasons, { late: 'late', rambles: 'output_invalid', refuses: 'refused', raises: 'callback' });
  assert.deepEqual([panel.score.decision, panel.status, panel.score.voters], ['yes', 'done', 2]);
  const rows = await panel.rows();
  assert.deepEqual(rows.map(({ member, dropped }) => dropped ?? member), ['a', 'b', 'late', 'output_invalid', 'refused', 'callback']);
  const missed = await runtime().panel('Is it?', { members, options, memberSeconds: 1.5 });
  assert.deepEqual([missed.status, missed.stoppedBy, missed.score], ['no_consensus', 'quorum_missed', null]);
});

test('a budget that is spent leaves what was said', async () => {
  const rt = new Runtime({ model: new ScriptedModel((request) => said(request, rating(7)), { price: { input: 1, output: 1 } }) });
  const members = ['a', 'b', 'c', 'd'];
  const part = await rt.panel('Is it?', { type: 'delphi', members, rounds: 2, budget: { maxSteps: 6 } });
  assert.deepEqual([part.status, part.stoppedBy], ['partial', 'max_steps']);
  assert.ok(part.ballots.length >= 4 && part.dropped.every(({ reason }) => reason === 'budget_exceeded'));
  assert.ok(part.cost > 0);
  await fails(runtime().panel('Is it?', { members, options, budget: { maxCost: 1 } }), 'budget_unpriced');
});

test('a signal ends a panel, and so does whoever knows its id', async () => {
  const rt = runtime();
  const members = [member('a', ballot('yes')), { id: 'slow', model: new ScriptedModel(never) }];
  const abort = new AbortController();
  const panel = rt.panel('Is it?', { members, options, signal: abort.signal });
  let running = [];
  while (running.length === 0) [running] = [await rt.runs({ status: 'running' }), await pause(5)];
  abort.abort(new Error('enough'));
  await assert.rejects(panel, Cancelled);
  const { runId } = running[0];
  while ((await rt.run(runId)).status === 'running') await pause(5);
  assert.equal((await rt.run(runId)).status, 'cancelled');
  assert.equal((await (await rt.run(runId)).panel()).stoppedBy, 'cancelled');

  const stream = rt.stream.panel('Is it?', { members, options });
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (event.type === 'ballot') stream.cancel();
  }
  assert.equal(events.at(-1).type, 'cancelled');
  assert.equal(events.at(-1).result.ballots[0].member, 'a');
  assert.equal((await stream.result()).status, 'cancelled');

  const other = rt.panel('Is it?', { members, options });
  while ((await rt.runs({ status: 'running' })).length === 0) await pause(5);
  await rt.cancel((await rt.runs({ status: 'running' }))[0].runId);
  assert.equal((await other).status, 'cancelled');
});

test('tenants do not see one another', () =>
  inFolder(async (folder) => {
    const model = new ScriptedModel((request) => said(request, ballot('yes')));
    const [one, other] = ['one', 'other'].map((tenant) => new Runtime({ model, store: join(folder, 'state'), tenant }));
    const panel = await one.panel('Is it?', { members: ['ann', 'bob'], options });
    assert.deepEqual((await one.panels()).map(({ runId }) => runId), [panel.runId]);
    assert.deepEqual([await other.panels(), await other.runs()], [[], []]);
    for (const call of ['run', 'resume', 'resumePanel', 'cancel', 'delete']) await fails(other[call](panel.runId), 'unknown_id');
  }));

test('a hundred panels at once', async () => {
  const rt = runtime();
  const members = five('parallel');
  const panels = await Promise.all(Array.from({ length: 100 }, () => rt.panel('Is it?', { members, options })));
  assert.equal(new Set(panels.map(({ runId }) => runId)).size, 100);
  for (const panel of panels) assert.deepEqual(panel.score, panels[0].score);
});

const KILLED = `
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Runtime, ScriptedModel } from 'quorate';

const [folder, type, given] = process.argv.slice(1);
const limit = Number(given);
let count = 0;
const held = [];
const member = (id, ballots) => ({
  id,
  model: new ScriptedModel((request) => {
    count += 1;
    // Whoever asks from here on is killed.
    if (limit > 0 && count > limit) {
      writeFileSync(join(folder, 'ready'), '');
      return new Promise((resolve) => held.push(resolve));
    }
    const [, title] = /"title":"(\\w+)"/.exec(request.messages[0].content.at(-1).text);
    const blind = request.messages.at(-1).content.includes('Nobody has spoken yet');
    if (title === 'ballot') return JSON.stringify(ballots[blind ? 0 : 1]);
    if (title === 'answer') return JSON.stringify({ text: 'So it is.', claims: [{ claim: 1, status: 'open' }] });
    if (title === 'verdict') return JSON.stringify({ reason: 'clear', winner: 'second' });
    return JSON.stringify({ text: 'This is a statement of ' + id.split('').reverse().join('') });
  }, { id: 'scripted:' + id, price: { input: 1, output: 1 } }),
});
const of = (choice) => ({ choice, confidence: 0.9, reasons: [{ text: 'The reason for ' + choice + '.' }] });
const rated = (number) => ({ number, confidence: 0.9, reasons: [{ text: 'The reason for ' + number + '.' }] });
const members = type === 'delphi'
  ? [[2, 5], [7, 6], [8, 7], [9, 9]].map(([a, b], i) => member('m' + i, [rated(a), rated(b)]))
  : [['yes', 'yes'], ['no', 'yes'], ['no', 'no'], ['yes', 'no']].map(([a, b], i) => member('m' + i, [of(a), of(b)]));
const more = type === 'delphi' ? {} : { options: ['yes', 'no'] };
const judge = member('judge', [{}, {}]).model;
const runtime = new Runtime({ model: judge, store: join(folder, 'state') });
`;
const BEGUN = `${KILLED}
const panel = await runtime.panel('Is it?', { type, members, judge, seed: 3, ...more });
console.log(JSON.stringify({ calls: count, panel }));
`;
const GOES_ON = `${KILLED}
const run = (await runtime.runs()).at(-1);
const lacking = await runtime.resumePanel(run.runId).then(() => null, (error) => error.message);
const models = Object.fromEntries(members.map(({ id, model }) => [id, model]));
const panel = await runtime.resumePanel(run.runId, { models, judge });
console.log(JSON.stringify({ status: run.status, lacking, calls: count, panel }));
`;

for (const [type, after] of [['delphi', 2], ['delphi', 6], ['consensus', 5], ['debate', 7], ['socratic', 9], ['sequential', 6]]) {
  test(`a ${type} panel that is killed after ${after} answers goes on to the same result`, { skip: process.platform === 'win32' }, () =>
    inFolder(async (folder) => {
      const [whole, killed] = ['whole', 'killed'].map((name) => join(folder, name));
      [whole, killed].forEach((path) => mkdirSync(path));
      const run = async (code, path) => {
        const { said: found, errors } = await program(code, [path, type, '0']);
        assert.equal(errors, '');
        return JSON.parse(found);
      };
      const expected = await run(BEGUN, whole);
      const child = spawn(process.execPath, ['--input-type=module', '-e', BEGUN, killed, type, String(after)], { cwd: new URL('..', import.meta.url), stdio: 'ignore' });
      const ended = once(child, 'exit');
      const watching = new Runtime({ model: new ScriptedModel([]), store: join(killed, 'state') });
      const answered = async () => {
        const [run] = await watching.runs();
        return run === undefined ? 0 : (await (await watching.run(run.runId)).events()).filter(({ type }) => type === 'usage').length;
      };
      // All that was answered is on the disk, and somebody is being asked.
      for (let i = 0; !existsSync(join(killed, 'ready')) || (await answered()) < after; i += 1) {
        assert.ok(i < 5000 && child.exitCode === null);
        await pause(20);
      }
      child.kill('SIGKILL');
      await ended;
      const found = await run(GOES_ON, killed);
      assert.equal(found.status, 'interrupted');
      assert.match(found.lacking, /needs the model 'scripted:m\d' of member 'm\d'/);
      assert.equal(found.calls, expected.calls - after, 'a ballot that was given is asked for again');
      delete expected.panel.runId;
      delete found.panel.runId;
      assert.deepEqual(found.panel, expected.panel);
    }));
}
