// Are agents evaluated from Node as from Python, and recorded runs asked again?

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import {
  AgentRegistry,
  AgentReport,
  Cancelled,
  Conflict,
  InvalidInput,
  Judge,
  NotFound,
  Runtime,
  ScriptedModel,
  Unavailable,
  evaluateAgents,
  goldenTasks,
  loadTasks,
  tool,
} from 'quorate';

import { fails, inFolder, withKb } from './support/kb.mjs';

const TASKS = [
  { id: 'dose', question: 'Which dose?', expect: { exact: ['5 mg'] } },
  { id: 'name', question: 'Which drug?', expect: { contains: ['metformin'], notContains: ['aspirin'] } },
];
const price = { input: 1, output: 1 };
const say = (request) => (request.messages.at(-1).content.includes('dose') ? '5 mg' : 'It is metformin.');
const says = (answer = say, options = { price }) => new Runtime({ model: new ScriptedModel(answer, options) });
const verdict = (passed) => new ScriptedModel(() => JSON.stringify({ reason: 'as I see it', passed }), { price });
const refused = (message) => fails(InvalidInput, 'invalid_argument', message);

test('tasks are asked and scored, and two evaluations compared', () =>
  inFolder(async (folder) => {
    const told = [];
    const report = await evaluateAgents(says(), TASKS, { repeat: 3, progress: (done, total) => told.push([done, total]) });
    const all = report.metric('all');
    assert.deepEqual([all.passRate, all.trials, all.tasks, all.passed, all.undecided], [1, 6, 2, 6, 0]);
    assert.ok(all.interval[0] > 0 && all.interval[0] < 1 && all.interval[1] === 1);
    assert.deepEqual([all.passHatK, all.passAtK], [[1, 1, 1], [1, 1, 1]]);
    assert.deepEqual(told.at(-1), [6, 6]);
    assert.deepEqual(report.metrics.map((one) => one.scorer), ['all', 'exact', 'contains']);
    assert.ok(report.totals.cost > 0 && report.totals.meanCost > 0 && report.totals.usage.input > 0);
    assert.deepEqual([report.totals.statuses, report.totals.errors, report.totals.planned], [{ done: 6 }, {}, 6]);
    assert.deepEqual([report.stoppedBy, report.unscored, report.tasks, report.repeat, report.seed], [null, [], ['dose', 'name'], 3, 0]);
    assert.deepEqual(report.trials.map((one) => one.task), ['dose', 'dose', 'dose', 'name', 'name', 'name']);
    assert.ok(report.trials.every((one) => one.passed && one.runId && !one.cutOff));
    const rows = report.rows();
    assert.deepEqual([rows.length, rows[0].task, rows[0].scorer, rows[0].passed, rows[0].status], [6, 'dose', 'exact', true, 'done']);
    assert.ok(rows.every((row) => row.inputTokens > 0 && row.runId));

    const worse = await evaluateAgents(says(() => 'aspirin'), TASKS, { repeat: 3 });
    assert.equal(worse.metric('all').passRate, 0);
    assert.match(worse.rows()[0].detail, /aspirin/);
    const compared = await report.compare(worse, { seed: 7 });
    const [first] = compared.scorers;
    assert.deepEqual([first.scorer, first.difference, first.wins, first.exact], ['all', 1, 2, true]);
    assert.ok(first.pValue > 0 && first.pValue <= 1);
    assert.deepEqual(new Set(compared.changed.map((one) => one.task)), new Set(['dose', 'name']));
    assert.deepEqual([compared.onlyA, compared.onlyB], [[], []]);
    const other = await evaluateAgents(says(), [{ ...TASKS[0], id: 'other' }], { repeat: 1 });
    await assert.rejects(report.compare(other), fails(InvalidInput, 'empty_input'));
    await assert.rejects(report.compare({}), refused(/other/));
    await assert.rejects(report.compare(worse, { seed: 0.5 }), refused(/seed/));
    await assert.rejects(report.compare(worse, { sead: 1 }), refused(/sead/));
    await assert.rejects(report.compare(worse, { signal: AbortSignal.abort() }), fails(Cancelled, 'cancelled'));

    for (const path of [join(folder, 'report.html'), pathToFileURL(join(folder, 'b.html'))]) {
      await report.report(path);
      const page = await readFile(path, 'utf8');
      assert.ok(page.includes('<html') && !page.replaceAll('http://www.w3.org', '').includes('http'));
      assert.equal(page, await report.html());
    }
    await assert.rejects(report.report(join(folder, 'no', 'such', 'x.html')), fails(NotFound, 'not_found', /such/));

    // Kept as JSON, and read again.
    const kept = AgentReport.fromJSON(JSON.parse(JSON.stringify(report)));
    assert.deepEqual(kept.toJSON(), report.toJSON());
    assert.equal((await kept.compare(report)).scorers[0].difference, 0);
    assert.deepEqual(AgentReport.fromJSON(report).toJSON(), report.toJSON());
    assert.throws(() => AgentReport.fromJSON({ ...report.toJSON(), seed: 'x' }), refused(/seed/));
    assert.throws(() => AgentReport.fromJSON({}), refused(/report/));
    assert.throws(() => AgentReport.fromJSON(7), refused(/report/));
    assert.throws(() => new AgentReport(), refused(/evaluateAgents/));
  }));

test('a report keeps large seeds, counts of codes, and tokens of an hour', async () => {
  const model = new ScriptedModel(() => ({ text: '5 mg', usage: { input: 9, output: 1, cacheWritten: 2, cacheWritten1h: 3 } }), { price });
  const seed = 2n ** 60n + 1n;
  const report = await evaluateAgents(new Runtime({ model }), TASKS.slice(0, 1), { repeat: 2, seed });
  assert.equal(report.seed, seed);
  assert.deepEqual([report.totals.usage.cacheWritten, report.totals.usage.cacheWritten1h], [4, 6]);
  const kept = AgentReport.fromJSON(JSON.parse(JSON.stringify(report)));
  assert.deepEqual([kept.seed, kept.totals], [seed, report.totals]);
  // Seeds follow from the evaluation's, the same each time.
  const again = await evaluateAgents(new Runtime({ model }), TASKS.slice(0, 1), { repeat: 2, seed });
  assert.deepEqual(again.trials.map((one) => one.seed), report.trials.map((one) => one.seed));
  const failing = await evaluateAgents(says(() => new Unavailable('remote_failed', 'gone')), TASKS, { repeat: 1 });
  assert.deepEqual(failing.totals.errors, { remote_failed: 2 });
  assert.deepEqual(failing.trials.map((one) => [one.error, one.status, one.passed]), Array(2).fill(['remote_failed', 'failed', false]));
});

test('failures are paid for too', async () => {
  const said = ['5 mg', '10 mg', '5 mg', '10 mg'];
  const dear = { price: { input: 1000, output: 1000 } };
  const report = await evaluateAgents(says(() => said.shift(), dear), TASKS.slice(0, 1), { repeat: 4 });
  const { totals, trials } = report;
  const sum = (some) => some.reduce((sum, trial) => sum + trial.cost, 0);
  const near = (found, expected) => assert.ok(Math.abs(found - expected) < 1e-9 && expected > 0, `${found} ${expected}`);
  near(totals.costPerTask, sum(trials));
  near(totals.costPerPass, sum(trials) / 2);
  near(totals.failedCost, sum(trials.filter((trial) => !trial.passed)));
  const lines = report.summary().split('\n');
  assert.deepEqual(lines.slice(0, 2), ['1 task, 4 of 4 trials', 'all: 2 of 4 pass, 0.500 [0.150, 0.850]']);
  assert.ok(report.summary().includes(`$${totals.costPerPass.toFixed(4)} for each trial that passes`));
  assert.ok((await report.html()).includes('for each that passes'));
  const none = await evaluateAgents(says(() => '10 mg', dear), TASKS.slice(0, 1), { repeat: 2 });
  assert.equal(none.totals.costPerPass, null);
  near(none.totals.failedCost, none.totals.cost);
  // A report that was kept before there were these.
  const kept = JSON.parse(JSON.stringify(report));
  for (const name of ['costPerTask', 'costPerPass', 'failedCost']) delete kept.totals[name];
  assert.equal(AgentReport.fromJSON(kept).totals.costPerPass, null);
});

test('functions look at answers, sync and async', async () => {
  const seen = [];
  const task = { ...TASKS[0], tags: ['a'], expect: { jsonPath: { '$.dose_mg': { value_a: 5 } }, exact: ['5 mg'] } };
  const brief = (answer, given, { signal }) => (seen.push([answer, given, signal]), answer.text.length < 10);
  const slow = { name: 'slow', score: async (answer) => (await pause(5), { passed: answer.text !== '5 mg', detail: 'too plain' }) };
  const report = await evaluateAgents(says(), [task], { repeat: 2, scorers: ['exact', brief, slow] });
  assert.deepEqual(report.metrics.map((one) => [one.scorer, one.passRate]), [['all', 0], ['exact', 1], ['brief', 1], ['slow', 0]]);
  assert.deepEqual(report.trials[0].scores.map((one) => [one.scorer, one.passed, one.detail]), [['exact', true, ''], ['brief', true, ''], ['slow', false, 'too plain']]);
  const [answer, given, signal] = seen[0];
  assert.deepEqual([answer.text, answer.status, typeof answer.usage.cacheWritten1h, answer.runId], ['5 mg', 'done', 'number', report.trials[0].runId]);
  assert.deepEqual([given.id, given.tags, given.expect.jsonPath], ['dose', ['a'], [{ path: '$.dose_mg', value: { value_a: 5 } }]]);
  assert.ok(signal instanceof AbortSignal);
  // What a function cannot say, or fails to say, is undecided, and told.
  const odd = [
    { name: 'nothing', score: () => undefined },
    { name: 'null', score: () => ({ passed: null, detail: 'who knows' }) },
    { name: 'throws', score: () => { throw new TypeError('boom'); } },
    { name: 'rejects', score: async () => Promise.reject('no error') },
    { name: 'number', score: () => 0.7 },
    { name: 'map', score: () => new Map() },
    { name: 'word', score: () => ({ passed: 'yes' }) },
    { name: 'more', score: () => ({ passed: true, note: 1 }) },
    { name: 'own', score: () => { throw new InvalidInput('too_large', 'mine'); } },
  ];
  const found = await evaluateAgents(says(), TASKS.slice(0, 1), { repeat: 1, scorers: odd });
  const said = Object.fromEntries(found.trials[0].scores.map((one) => [one.scorer, one.detail]));
  assert.ok(found.trials[0].scores.every((one) => one.passed === null));
  assert.deepEqual([found.metric('all').undecided, found.metric('all').passRate, found.trials[0].passed], [1, null, null]);
  assert.deepEqual([said.nothing, said.null], ['', 'who knows']);
  assert.match(said.throws, /^callback: the scorer 'throws' failed: TypeError: boom/);
  assert.match(said.rejects, /no error/);
  assert.match(said.number, /^invalid_argument: .*0\.7/);
  assert.match(said.map, /Map/);
  assert.match(said.word, /passed.*true, false or null/);
  assert.match(said.more, /note/);
  assert.match(said.own, /^too_large: mine/);
  // A task that gives nothing to look for is one that a function looks at.
  const bare = await evaluateAgents(says(), [{ id: 'a', question: 'q' }], { repeat: 1, scorers: [slow] });
  assert.deepEqual([bare.unscored, bare.metric('slow').trials], [[], 1]);
});

test('judges judge, and share the budget', async () => {
  const judge = new Judge(verdict(true), 'It names a dose.', { samples: 1 });
  assert.deepEqual([judge.rubric, judge.orders, judge.samples, judge.name], ['It names a dose.', 2, 1, 'judge']);
  const strict = new Judge(verdict(false), { rubric: 'It is in French.', orders: 1, samples: 2, name: 'french' });
  assert.deepEqual([strict.rubric, strict.orders, strict.samples, strict.name], ['It is in French.', 1, 2, 'french']);
  const report = await evaluateAgents(says(), TASKS.slice(0, 1), { repeat: 2, scorers: ['exact', judge, strict] });
  assert.deepEqual(report.metrics.map((one) => [one.scorer, one.passRate]), [['all', 0], ['exact', 1], ['judge', 1], ['french', 0]]);
  const { judged } = report.trials[0].scores[1];
  assert.deepEqual([judged.votes.length, judged.votes[0].passed, judged.agreement], [2, true, 1]);
  assert.ok(report.totals.judgeCost > 0 && report.totals.judgeUsage.output > 0);
  const few = await evaluateAgents(says(), TASKS, { repeat: 50, budget: { maxCost: 0.004 } });
  assert.equal(few.stoppedBy, 'max_cost');
  assert.ok(few.totals.cost <= 0.004 && few.totals.planned === 100 && few.trials.length < 100);
  const unknown = new ScriptedModel(() => 'x');
  await assert.rejects(evaluateAgents(new Runtime({ model: unknown }), TASKS, { budget: { maxCost: 1 } }), fails(InvalidInput, 'budget_unpriced'));
  await assert.rejects(evaluateAgents(says(), TASKS, { budget: { maxCost: 1 }, scorers: [new Judge(unknown, 'x')] }), fails(InvalidInput, 'budget_unpriced'));
});

test('tasks come from files too', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'tasks.yaml');
    await writeFile(path, 'schema_version: 1\ntasks:\n  - id: dose\n    question: Which dose?\n    expect: {exact: 5 mg, not_contains: [10 mg]}\n');
    const tasks = await loadTasks(path);
    assert.deepEqual(tasks, [{ id: 'dose', question: 'Which dose?', autonomous: false, expect: { exact: ['5 mg'], notContains: ['10 mg'] } }]);
    assert.deepEqual(await loadTasks(pathToFileURL(path)), tasks);
    for (const given of [path, pathToFileURL(path), [path], [pathToFileURL(path)], tasks]) {
      const report = await evaluateAgents(says(), given, { repeat: 1 });
      assert.deepEqual([report.tasks, report.metric('all').passRate], [['dose'], 1]);
    }
    assert.deepEqual((await evaluateAgents(says(), [TASKS[1], path], { repeat: 1 })).tasks, ['name', 'dose']);
    // The names of files are taken in objects too.
    const snake = { id: 'a', question: 'dose?', expect: { not_contains: ['5 mg'] } };
    assert.equal((await evaluateAgents(says(), [snake], { repeat: 1 })).metric('contains').passRate, 0);
    await writeFile(path, 'tasks: [{id: a, question: q, expects: {}}]');
    await assert.rejects(loadTasks(path), fails(InvalidInput, 'invalid_argument', /tasks\.yaml:1.*expects/));
    await writeFile(path, 'a: [');
    await assert.rejects(loadTasks(path), fails(InvalidInput, 'load_failed'));
    await writeFile(path, '[]');
    await assert.rejects(loadTasks(path), fails(InvalidInput, 'empty_input'));
    await writeFile(path, '[{id: a, question: q}, {id: a, question: q}]');
    await assert.rejects(loadTasks(path), fails(Conflict, 'duplicate_id'));
    await writeFile(path, 'schema_version: 9\ntasks: [{id: a, question: q}]');
    await assert.rejects(loadTasks(path), (error) => error.code === 'format_version');
    await assert.rejects(loadTasks(join(folder, 'none.yaml')), fails(NotFound, 'not_found'));
    await assert.rejects(evaluateAgents(says(), join(folder, 'none.yaml')), fails(NotFound, 'not_found'));
    await assert.rejects(loadTasks(7), refused(/path/));
    const golden = goldenTasks();
    assert.deepEqual([Object.keys(golden).length, Object.values(golden).every((tasks) => tasks.length === 8)], [9, true]);
    const expects = Object.values(golden).flat().flatMap((task) => Object.keys(task.expect));
    assert.ok(expects.includes('notContains') && !expects.some((name) => name.includes('_')));
  }));

test('what an evaluation is not made of is refused by name', async () => {
  const runtime = says();
  const evaluate = (tasks, options) => evaluateAgents(runtime, tasks, options);
  await assert.rejects(evaluateAgents({}, TASKS), refused(/runtime/));
  await assert.rejects(evaluateAgents(null, TASKS), refused(/runtime/));
  await assert.rejects(evaluate([]), fails(InvalidInput, 'empty_input'));
  await assert.rejects(evaluate([TASKS[0], TASKS[0]]), fails(Conflict, 'duplicate_id', /dose/));
  for (const bad of [{}, 7, null, undefined, () => 1]) await assert.rejects(evaluate(bad), refused(/tasks/));
  await assert.rejects(evaluate([7]), refused(/tasks\[0\]/));
  await assert.rejects(evaluate([TASKS[0], { id: 'a', question: 'b', expects: {} }]), refused(/tasks\[1\].*expects/));
  await assert.rejects(evaluate([{ id: 'a', question: 'b', expect: { jsonPath: { '$[': 1 } } }]), refused(/tasks\[0\].*expect\.jsonPath\[0\]/));
  await assert.rejects(evaluate([{ id: 'a', question: 'b', expect: { notContains: [7] } }]), refused(/expect\.notContains\[0\]/));
  await assert.rejects(evaluate([{ id: 'a', question: 'b', expect: { notContains: ['x'], not_contains: ['y'] } }]), refused(/notContains/));
  await assert.rejects(evaluate([{ id: 'a', question: 'b', expect: { regex: '(' } }]), refused(/regex/));
  await assert.rejects(evaluate([{ id: 'a', question: 'b', expect: { status: 'over' } }]), refused(/status/));
  await assert.rejects(evaluate([{ id: 'a', question: 'b' }]), refused(/nothing|anything/));
  await assert.rejects(evaluate([{ ...TASKS[0], expect: { jsonPath: { '$.a': NaN } } }]), (error) => error.code === 'not_finite' && /jsonPath/.test(error.message));
  await assert.rejects(evaluate([{ ...TASKS[0], agent: 'nobody' }]), refused(/nobody/));
  for (const repeat of [0, -1, 1.5, '3', 10_001, NaN]) await assert.rejects(evaluate(TASKS, { repeat }), (error) => ['invalid_argument', 'not_finite'].includes(error.code) && /repeat/.test(error.message));
  for (const threads of [0, 257, 'many']) await assert.rejects(evaluate(TASKS, { threads }), refused(/threads/));
  for (const seed of [-1, 0.5, 'x', -1n]) await assert.rejects(evaluate(TASKS, { seed }), refused(/seed/));
  await assert.rejects(evaluate(TASKS, { budget: { maxCosts: 1 } }), refused(/maxCosts/));
  await assert.rejects(evaluate(TASKS, { budget: 7 }), refused(/budget/));
  await assert.rejects(evaluate(TASKS, { repeats: 3 }), refused(/repeats/));
  await assert.rejects(evaluate(TASKS, { progress: 7 }), refused(/progress/));
  await assert.rejects(evaluate(TASKS, { signal: {} }), refused(/signal/));
  await assert.rejects(evaluate(TASKS, 7), refused(/options/));
  await assert.rejects(evaluate(TASKS, { scorers: 'exact' }), refused(/scorers/));
  await assert.rejects(evaluate(TASKS, { scorers: ['nice'] }), refused(/nice/));
  await assert.rejects(evaluate(TASKS, { scorers: [7] }), refused(/scorers\[0\]/));
  await assert.rejects(evaluate(TASKS, { scorers: ['exact', () => true] }), refused(/scorers\[1\].*name/));
  await assert.rejects(evaluate(TASKS, { scorers: [{ name: 'x' }] }), refused(/scorers\[0\]/));
  await assert.rejects(evaluate(TASKS, { scorers: [{ name: 7, score: () => true }] }), refused(/scorers\[0\]/));
  await assert.rejects(evaluate(TASKS, { scorers: ['exact', 'exact'] }), refused(/exact/));
  await assert.rejects(evaluate(TASKS, { scorers: [{ name: 'exact', score: () => true }, 'exact'] }), refused(/exact/));
  await assert.rejects(evaluate(TASKS, { scorers: [{ name: 'all', score: () => true }] }), refused(/all/));
  assert.throws(() => new Judge(null), refused(/model/));
  assert.throws(() => new Judge({}), refused(/model/));
  assert.throws(() => new Judge(verdict(true), 'x', { orders: 3 }), refused(/orders/));
  assert.throws(() => new Judge(verdict(true), 'x', { samples: 0 }), refused(/samples/));
  assert.throws(() => new Judge(verdict(true), 'x', { name: ' ' }), refused(/name/));
  assert.throws(() => new Judge(verdict(true), 7), refused(/rubric/));
  assert.throws(() => new Judge(verdict(true), { rubrik: 'x' }), refused(/rubrik/));
  assert.throws(() => new Judge(verdict(true), { rubric: 'x' }, { orders: 1 }), refused(/twice/));
});

test('an evaluation is stopped, and what was done by then is not lost', async () => {
  const control = new AbortController();
  const progress = (done) => done === 2 && control.abort(new Error('mine'));
  const stopped = await evaluateAgents(says(), TASKS, { repeat: 500, progress, signal: control.signal }).catch((error) => error);
  assert.ok(fails(Cancelled, 'cancelled')(stopped) && stopped.cause.message === 'mine');
  assert.ok(stopped.report instanceof AgentReport);
  assert.deepEqual([stopped.report.stoppedBy, stopped.report.totals.planned], ['cancelled', 1000]);
  assert.ok(stopped.report.metric('all').trials >= 2 && stopped.report.metric('all').trials < 1000);
  assert.ok(!Object.keys(stopped).includes('report'));
  // Before it begins, nothing is asked.
  let asked = 0;
  const counting = says(() => (asked++, '5 mg'));
  await assert.rejects(evaluateAgents(counting, TASKS, { signal: AbortSignal.abort() }), fails(Cancelled, 'cancelled'));
  assert.equal(asked, 0);
  // While a model, a scorer or a tool never answers.
  const held = [];
  const never = () => new Promise((resolve) => held.push(resolve));
  const hangs = [
    [says(never), {}],
    [says(), { scorers: [{ name: 'hung', score: never }] }],
    [says(), { scorers: [new Judge(new ScriptedModel(never, { price }), 'x')] }],
    [says(never), { threads: 2 }],
  ];
  for (const [runtime, options] of hangs) {
    const soon = new AbortController();
    setTimeout(() => soon.abort(), 100);
    const since = performance.now();
    const error = await evaluateAgents(runtime, TASKS, { ...options, signal: soon.signal }).catch((error) => error);
    assert.equal(error.code, 'cancelled');
    assert.ok(performance.now() - since < 2000, `${performance.now() - since} ms`);
    assert.equal(error.report.metric('all').passRate, null);
  }
  const mine = new RangeError('mine');
  const broken = evaluateAgents(says(), TASKS, { progress: () => { throw mine; } });
  await assert.rejects(broken, (error) => fails(InvalidInput, 'callback')(error) && error.cause === mine);
});

test('a scorer that never answers is not waited for', async () => {
  const held = [];
  const hung = { name: 'hung', score: () => new Promise((resolve) => held.push(resolve)) };
  const since = performance.now();
  const report = await evaluateAgents(says(), TASKS.slice(0, 1), { repeat: 2, scorers: ['exact', hung], scorerSeconds: 0.3 });
  assert.ok(performance.now() - since < 10_000, `${performance.now() - since} ms`);
  for (const { scores } of report.trials) {
    assert.deepEqual(scores.map((one) => [one.scorer, one.passed, one.detail]), [
      ['exact', true, ''],
      ['hung', null, "timeout: the scorer 'hung' did not end within 0.3 s"],
    ]);
  }
  assert.deepEqual([report.metric('hung').undecided, report.stoppedBy], [2, null]);
  const limited = await evaluateAgents(says(), TASKS.slice(0, 1), { repeat: 2, scorers: ['exact', hung], budget: { maxSeconds: 0.5 } });
  assert.equal(limited.stoppedBy, 'max_seconds');
  for (const scorerSeconds of [0, -1, 1e6]) {
    await assert.rejects(evaluateAgents(says(), TASKS, { scorerSeconds }), fails(InvalidInput, 'invalid_argument', /scorer_?seconds/i));
  }
});

test('trials at once use tools of the host, and a runtime may be let go meanwhile', async () => {
  let [now, most] = [0, 0];
  const look = tool({ name: 'look', run: async () => ((most = Math.max(most, ++now)), await pause(30), now--, 'seen') });
  const made = () => {
    const model = new ScriptedModel((request) => (request.messages.at(-1).role === 'tool' ? 'seen' : { toolCalls: [{ name: 'look', arguments: {} }] }));
    return new Runtime({ model, tools: [look], approve: () => true });
  };
  const tasks = Array.from({ length: 8 }, (_, i) => ({ id: `t${i}`, question: `q${i}`, expect: { exact: 'seen' } }));
  const evaluating = evaluateAgents(made(), tasks, { repeat: 2, threads: 4, scorers: ['exact', { name: 'late', score: async () => (await pause(1), true) }] });
  for (let i = 0; i < 20; i++) {
    globalThis.gc();
    await pause(10);
  }
  const report = await evaluating;
  assert.deepEqual([report.metric('all').passRate, report.metric('late').trials], [1, 16]);
  assert.ok(most > 1 && most <= 4, `${most} at once`);
});

test('more evaluations than there are places go on at once', async () => {
  const runtime = says(() => '5 mg', { resilience: { maxConcurrent: 400 } });
  let told = 0;
  const evaluate = () => evaluateAgents(runtime, TASKS.slice(0, 1), { repeat: 1, progress: () => void told++, scorers: ['exact', { name: 'own', score: async () => (await pause(5), true) }] });
  const reports = await Promise.all(Array.from({ length: 600 }, evaluate));
  assert.ok(reports.every((report) => report.metric('all').passRate === 1));
  assert.equal(told, 600);
});

test('sources and experts are those of the runtime', () =>
  withKb(async (kb) => {
    const registry = await AgentRegistry.open({ catalog: null });
    await registry.addAll([{ id: 'kidney', name: 'kidney', summary: 'Treats diseases of the kidney and advises on renal dosing of metformin.' }]);
    const tasks = [
      { id: 'cited', question: 'Below which eGFR is metformin contraindicated?', expect: { cited: ['metformin'], regex: '30', agent: 'kidney', status: 'done' } },
      { id: 'named', question: 'Below which eGFR is metformin contraindicated?', agent: 'kidney', expect: { cited: 'metformin' } },
    ];
    const report = await evaluateAgents(new Runtime({ kb, registry }), tasks, { repeat: 1 });
    assert.deepEqual(report.metrics.map((one) => [one.scorer, one.passRate]).sort(), [['agent', 1], ['all', 1], ['cited', 1], ['regex', 1], ['status', 1]]);
    await assert.rejects(evaluateAgents(new Runtime({ kb, registry }), [{ ...tasks[1], agent: 'nobody' }]), fails(NotFound, 'unknown_id', /named/));
  }));

test('a recorded run is asked again', async () => {
  const made = [];
  const lookup = tool({
    name: 'lookup',
    schema: { type: 'object', properties: { code: { type: 'string' } } },
    run: ({ code }) => (made.push(code), code === 'C1' ? 'a catheter' : 'something else'),
  });
  const asks = (code, end) => new ScriptedModel((request) => (request.messages.at(-1).role === 'tool' ? end : { toolCalls: [{ name: 'lookup', arguments: { code } }] }));
  const runtime = new Runtime({ model: asks('C1', 'It is a catheter.'), tools: [lookup] });
  const answer = await runtime.ask('What is C1?');
  const again = await runtime.replay(answer.runId, { change: { model: asks('C1', 'A catheter, as far as I know.') } });
  assert.deepEqual(made, ['C1']);
  assert.deepEqual([again.original, again.before.text, again.answer.text], [answer.runId, answer.text, 'A catheter, as far as I know.']);
  assert.notEqual(again.answer.runId, answer.runId);
  assert.deepEqual(again.differences.map(({ before, after }) => [before.text, after.text]), [[answer.text, 'A catheter, as far as I know.']]);
  assert.match(again.differenceText, /as far as I know/);
  assert.ok(again.same > 0 && again.live.length === 0 && typeof again.answer.usage.cacheWritten1h === 'number');
  const same = await runtime.replay(answer.runId);
  assert.deepEqual([same.differences, same.differenceText, same.answer.text], [[], '', answer.text]);
  // What the journal does not have.
  const other = { change: { model: asks('C2', 'Something else.') } };
  await assert.rejects(runtime.replay(answer.runId, other), fails(Conflict, 'replay_mismatch', /C2/));
  const live = await runtime.replay(answer.runId, { ...other, live: true });
  assert.deepEqual([made, live.live.length, live.answer.text], [['C1', 'C2'], 1, 'Something else.']);
  await assert.rejects(runtime.replay('nobody'), fails(NotFound, 'unknown_id'));
  await assert.rejects(runtime.replay(7), refused(/runId/));
  await assert.rejects(runtime.replay(answer.runId, { changes: {} }), refused(/changes/));
  await assert.rejects(runtime.replay(answer.runId, { change: { modal: 1 } }), refused(/change.*modal/));
  await assert.rejects(runtime.replay(answer.runId, { change: { live: true } }), refused(/live/));
  await assert.rejects(runtime.replay(answer.runId, { change: { model: {} } }), refused(/change\.model/));
  await assert.rejects(runtime.replay(answer.runId, { change: { seed: 0.5 } }), refused(/seed/));
  await assert.rejects(runtime.replay(answer.runId, { change: { budget: { max: 1 } } }), refused(/max/));
  await assert.rejects(runtime.replay(answer.runId, { change: 7 }), refused(/change/));
  await assert.rejects(runtime.replay(answer.runId, { change: { instructions: 'Rhyme.' } }), refused(/instructions/));
  await assert.rejects(runtime.replay(answer.runId, { live: 'yes' }), refused(/live/));
  const stopped = await runtime.replay(answer.runId, { change: { budget: { maxSteps: 1 } } });
  assert.deepEqual([stopped.answer.status, stopped.answer.stoppedBy], ['partial', 'max_steps']);
  const held = [];
  const never = new ScriptedModel(() => new Promise((resolve) => held.push(resolve)));
  const control = new AbortController();
  setTimeout(() => control.abort(new Error('mine')), 50);
  await assert.rejects(runtime.replay(answer.runId, { change: { model: never }, signal: control.signal }), (error) => fails(Cancelled, 'cancelled')(error) && error.cause.message === 'mine');
  // An expert's instructions.
  const registry = await AgentRegistry.open({ catalog: null });
  await registry.addAll([{ id: 'kidney', name: 'kidney', summary: 'Treats the kidney.', instructions: 'Be brief.' }]);
  const experts = new Runtime({ registry, model: new ScriptedModel((request) => (JSON.stringify(request.messages).includes('Rhyme') ? 'in rhymes' : 'in prose')) });
  const prose = await experts.ask('q', { agent: 'kidney' });
  const rhymes = await experts.replay(prose.runId, { change: { instructions: 'Rhyme.' } });
  assert.deepEqual([rhymes.before.text, rhymes.answer.text], ['in prose', 'in rhymes']);
});
