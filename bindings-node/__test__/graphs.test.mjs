// Do graphs of JavaScript functions do what their page says, and is what goes wrong told by its code?

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { QuorateError, StateStore, workflows as wf } from 'quorate';
import { z } from 'zod';

const state = { type: 'object', properties: { q: { type: 'string' }, notes: { type: 'array' }, n: { type: 'integer' }, best: { type: 'object' } } };
const fails = (code, says) => (error) => error instanceof QuorateError && error.code === code && (says === undefined || error.message.includes(says));

/** A chain of these nodes. */
function graph(nodes) {
  const made = new wf.Graph({ state, reducers: { notes: 'append', n: 'sum' } });
  let before = wf.START;
  for (const [name, node] of Object.entries(nodes)) {
    made.node(name, node).edge(before, name);
    before = name;
  }
  return made;
}

async function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-graphs-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a graph branches, loops and tells what came of it', async () => {
  const g = graph({ search: async (s) => ({ notes: `a note about ${s.q}`, n: 1 }) });
  g.node('answer', () => ({ notes: 'answered' }));
  g.edgesIf('search', (s) => (s.n < 2 ? 'search' : 'answer'), ['search', 'answer']).edge('answer', wf.END);
  const app = g.compile();
  const out = await app.run({ q: 'dosing' }, { thread: 'case-7' });
  assert.deepEqual([out.status, out.thread, out.steps, out.error, out.reviews], ['done', 'case-7', 3, null, []]);
  assert.deepEqual(out.state, { q: 'dosing', n: 2, notes: ['a note about dosing', 'a note about dosing', 'answered'] });
  assert.equal(out.checkpoint, (await app.state('case-7')).checkpoint);
  assert.ok(app.mermaid().startsWith('flowchart') && app.json().nodes);
  assert.equal(app.id, g.compile().id);
  const short = await app.run({ n: -9 }, { thread: 't', stepLimit: 2 });
  assert.equal(short.status, 'step_limit');
  assert.equal((await app.resume('t')).status, 'done');
  assert.equal((await app.run({ q: 'x' })).thread, '');
});

test('states are JSON Schemas, or schemas that give one; large whole numbers stay what they are', async () => {
  const app = new wf.Graph({ state: z.object({ x: z.number().max(3), big: z.any() }) }).node('a', (s) => ({ x: s.x + 1, big: s.big })).edge(wf.START, 'a').compile();
  assert.deepEqual((await app.run({ x: 2, big: 2n ** 60n })).state, { x: 3, big: 2n ** 60n });
  const failed = await app.run({ x: 3 });
  assert.deepEqual([failed.status, failed.error.code, failed.error.node], ['failed', 'invalid_argument', 'a']);
  await assert.rejects(app.run({ x: 'high' }), fails('invalid_argument', 'x'));
  for (const bad of [3, null, undefined, 'x']) assert.throws(() => new wf.Graph({ state: bad }), fails('invalid_argument', 'state'));
});

test('reducers are names or functions, and validators refuse', async () => {
  const better = async (old, value) => (old === null || value.score > old.score ? value : old);
  const fits = (value) => {
    if (value.score < 0) throw new RangeError('a score is not negative');
    return value.score < 100;
  };
  const g = new wf.Graph({ state, reducers: { best: better }, validators: { best: fits, q: (q) => (q ? undefined : 'it is empty') } });
  for (const [name, score] of [['a', 3], ['b', 7], ['c', 5]]) g.node(name, () => ({ best: { score } })).edge(wf.START, name);
  assert.deepEqual((await g.compile().run({})).state.best, { score: 7 });
  await assert.rejects(g.compile().run({ q: '' }), fails('invalid_argument', 'it is empty'));
  for (const [score, says] of [[-1, 'a score is not negative'], [100, 'refuses']]) {
    const out = await new wf.Graph({ state, validators: { best: fits } }).node('a', () => ({ best: { score } })).edge(wf.START, 'a').compile().run({});
    assert.ok(out.status === 'failed' && out.error.message.includes(says), out.error.message);
  }
  assert.throws(() => new wf.Graph({ state, reducers: { n: 'sums' } }).compile(), fails('invalid_argument', 'sums'));
  assert.throws(() => new wf.Graph({ state, reducers: { n: 3 } }), fails('invalid_argument', 'reducers.n'));
  assert.throws(() => new wf.Graph({ state, validators: ['n'] }), fails('invalid_argument', 'validators'));
});

test('a node goes where it says', async () => {
  const g = new wf.Graph({ state, reducers: { notes: 'append' } });
  g.node('split', (s) => s.q.split(' ').map((one) => new wf.Send('part', { text: one }))).node('part', (s) => ({ notes: s.text.toUpperCase() })).edge(wf.START, 'split');
  assert.deepEqual((await g.compile().run({ q: 'a b c' })).state.notes, ['A', 'B', 'C']);
  const choose = new wf.Graph({ state, reducers: { notes: 'append' } });
  choose.node('choose', (s) => new wf.Goto(s.q === 'l' ? 'left' : 'right', { update: { notes: 'chose' } })).edge(wf.START, 'choose');
  choose.node('left', () => ({ notes: 'left' })).node('right', () => ({ notes: 'right' }));
  const app = choose.compile();
  assert.deepEqual((await app.run({ q: 'l' })).state.notes, ['chose', 'left']);
  assert.deepEqual((await app.run({ q: 'r' })).state.notes, ['chose', 'right']);
  for (const [node, says] of [
    [() => 'left', 'an object'],
    [() => new wf.Goto('nowhere'), 'nowhere'],
    [() => new wf.Goto(3), 'Goto'],
    [() => [{ n: 1 }, { n: 2 }], 'twice'],
    [() => ({ unknown: 1 }), 'unknown'],
    [() => ({ n: () => 1 }), 'n'],
    [() => ({ n: NaN }), 'n'],
  ]) {
    const out = await graph({ a: node }).compile().run({});
    assert.ok(out.status === 'failed' && out.error.message.includes(says), `${says}: ${out.error?.message}`);
  }
});

test('a question waits, and an ended step never runs again', () =>
  inFolder(async (folder) => {
    const ran = [];
    const letter = async (s, ctx) => {
      const draft = await ctx.step('draft', async () => (ran.push('draft'), { text: 'Dear colleague' }));
      return { notes: [ctx.ask({ send: draft.text }), ctx.ask({ copy: true })] };
    };
    const app = graph({ letter }).compile(new StateStore(folder));
    const out = await app.run({}, { thread: 'letter-1' });
    assert.deepEqual([out.status, out.reviews.map((one) => one.question)], ['waiting', [{ send: 'Dear colleague' }]]);
    await assert.rejects(app.resume('letter-1', { answers: { nothing: 1 } }), fails('unknown_id'));
    await assert.rejects(app.resume('nobody'), fails('unknown_id'));
    const again = graph({ letter }).compile(await StateStore.open(folder));
    const waits = await again.resume('letter-1', { answers: { [out.reviews[0].id]: 'yes' } });
    assert.deepEqual([waits.status, waits.runId, waits.reviews.length], ['waiting', out.runId, 1]);
    const done = await again.resume('letter-1', { answers: { [waits.reviews[0].id]: 'no' } });
    assert.deepEqual([done.state.notes, ran], [['yes', 'no'], ['draft']]);
  }));

test('a failure keeps its type and message, and is tried again', async () => {
  const tries = [];
  const flaky = (s, ctx) => {
    tries.push(ctx.attempt);
    throw tries.length < 3 ? new RangeError(`no ${tries.length}`) : new TypeError('never');
  };
  const tried = (retry) => new wf.Graph({ state }).node('a', flaky, { retry }).edge(wf.START, 'a').compile().run({});
  const out = await tried(new wf.Retry({ maxAttempts: 5, initial: 0, on: (error) => error.message.includes('RangeError') }));
  assert.deepEqual(tries, [1, 2, 3]);
  assert.deepEqual([out.status, out.error.node, out.error.code, out.error.attempts], ['failed', 'a', 'callback', 3]);
  assert.ok(out.error.message.includes('TypeError: never') && out.exception instanceof TypeError);
  tries.length = 0;
  assert.equal((await tried({ maxAttempts: 2, initial: 0 })).error.attempts, 2);
  const own = await graph({ a: () => void new StateStore('s3://x') }).compile().run({});
  assert.equal(own.error.code, 'unsupported');
  const kept = await graph({
    a: async (s, ctx) => {
      const mine = new Error('mine');
      await assert.rejects(ctx.step('bad', () => { throw mine; }), (error) => error === mine);
      return { n: await ctx.step('good', () => 1) };
    },
  }).compile().run({}, { thread: 't' });
  assert.equal(kept.state?.n, 1, kept.error?.message);
});

test('a try that takes too long counts no more, and its signal says so', async () => {
  let aborted;
  const slow = (s, ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', () => ((aborted = ctx.cancelled), resolve())));
  const out = await new wf.Graph({ state }).node('a', slow, { timeout: 0.05 }).edge(wf.START, 'a').compile().run({});
  assert.deepEqual([out.status, out.error.code], ['failed', 'timeout']);
  await pause(50);
  assert.equal(aborted, true);
});

test('what a node gave is cached', async () => {
  for (const [cache, expected] of [[true, 2], [{ key: (s) => s.q[0] }, 1], [60, 2], [false, 3]]) {
    let ran = 0;
    const app = new wf.Graph({ state }).node('a', () => ({ n: ++ran }), { cache }).edge(wf.START, 'a').compile();
    for (const q of ['x1', 'x1', 'x2']) await app.run({ q });
    assert.equal(ran, expected);
  }
});

test('every problem of a graph is told at once', async () => {
  const none = () => null;
  const g = new wf.Graph({ state, reducers: { none: 'append' } });
  g.node('a', none, { writes: ['n', 'gone'] }).node('b', none, { writes: ['n'] }).node('orphan', none);
  g.edge(wf.START, 'a').edge(wf.START, 'b').edge('a', 'nowhere');
  assert.throws(() => g.compile(), (error) => {
    assert.deepEqual(error.problems, g.problems());
    const codes = new Set(error.problems.map((one) => one.code));
    return fails('invalid_argument')(error) && ['unknown_channel', 'unknown_node', 'unreachable', 'write_conflict'].every((code) => codes.has(code));
  });
  const made = () => graph({ a: none });
  for (const [call, says] of [
    [() => g.node(3, none), 'name'],
    [() => g.node('c', 'f'), "'c'"],
    [() => g.node('c', none, { retry: 3 }), 'options'],
    [() => g.node('c', none, { retry: { maxAttempts: 0 } }), 'maxAttempts'],
    [() => g.node('c', none, { timeout: 0 }), 'timeout'],
    [() => g.node('c', none, { cache: 'x' }), 'cache'],
    [() => g.node('c', none, { writes: 'n' }), 'writes'],
    [() => g.node('c', none, { deferred: true }), 'deferred'],
    [() => g.edge('a', null), 'target'],
    [() => g.edgesIf('a', 'f', []), 'route'],
    [() => g.join('a', 'b'), 'sources'],
    [() => g.subgraph('s', 3), 'graph'],
    [() => made().compile('runs/'), 'store'],
    [() => made().compile().stream({}, { thread: 't', modes: ['value'] }), 'mode'],
    [() => made().subgraph('x', new wf.Graph({ state: { type: 'object' } })).edge('a', 'x').compile(), 'x'],
  ]) {
    assert.throws(call, fails('invalid_argument', says), says);
  }
  for (const [call, says] of [
    [() => made().compile().run([]), 'input'],
    [() => made().compile().run({}, { thread: 3 }), 'thread'],
    [() => made().compile().run({}, { thread: '' }), 'thread'],
    [() => made().compile().run({}, { threads: 'x' }), 'threads'],
    [() => made().compile().run({}, { stepLimit: 0 }), 'stepLimit'],
    [() => made().compile().run({}, { durability: 'x' }), 'durability'],
    [() => made().compile().run({ gone: 1 }), 'gone'],
  ]) {
    await assert.rejects(call, fails('invalid_argument', says), says);
  }
});

test('joins, deferred nodes, tables of routes and graphs within', async () => {
  const seen = [];
  const g = graph({});
  for (const name of ['a', 'b', 'b2', 'c', 'late']) g.node(name, async () => (seen.push(name), { notes: name }), { defer: name === 'late' });
  g.edge(wf.START, 'a').edge(wf.START, 'b').edge('b', 'b2').join(['a', 'b2'], 'c').edge(wf.START, 'late');
  await g.compile().run({});
  assert.deepEqual([seen.slice(-2), seen.length], [['c', 'late'], 5]);
  const inner = new wf.Graph({ state, reducers: { notes: 'append' } }).node('ask', (s, ctx) => ({ notes: `inner ${ctx.ask({ about: s.q })}` })).edge(wf.START, 'ask');
  const app = graph({ first: () => ({ notes: 'first' }) }).subgraph('within', inner).edge('first', 'within').compile();
  const out = await app.run({ q: 'x' }, { thread: 't' });
  assert.deepEqual([out.status, out.reviews[0].question], ['waiting', { about: 'x' }]);
  const { namespace } = (await app.state('t')).tasks[0];
  assert.equal((await app.state('t', { namespace })).state.q, 'x');
  assert.deepEqual((await app.resume('t', { answers: { [out.reviews[0].id]: 'yes' } })).state.notes, ['first', 'inner yes']);
  const table = graph({ a: () => ({ n: 1 }) }).node('b', () => ({ notes: 'b' })).edgesIf('a', (s) => s.n > 0, { true: 'b', false: wf.END });
  assert.deepEqual((await table.compile().run({})).state.notes, ['b']);
});

test('threads are read, changed, forked, cancelled and pruned', () =>
  inFolder(async (folder) => {
    const store = new StateStore(folder);
    const app = graph({ propose: () => ({ n: 5 }), check: (s) => ({ notes: `n ${s.n}` }) }).compile(store);
    await app.run({ q: 'x' }, { thread: 't' });
    const history = await app.history('t');
    assert.deepEqual(history.map((one) => one.step), [2, 1, 0]);
    assert.deepEqual(await app.history('t', { limit: 1 }), history.slice(0, 1));
    assert.deepEqual(await app.state('t', { at: history[1].checkpoint }), history[1]);
    const checkpoint = await app.update('t', { n: 10 }, { asNode: 'propose' });
    assert.equal((await app.state('t')).checkpoint, checkpoint);
    assert.deepEqual((await app.resume('t')).state.notes, ['n 5', 'n 15']);
    await app.fork('t', { at: history[1].checkpoint, thread: 'u' });
    assert.deepEqual((await app.resume('u')).state.notes, ['n 5']);
    await assert.rejects(app.fork('t', { thread: 'u' }), fails('duplicate_id'));
    await assert.rejects(app.state('nobody'), fails('unknown_id'));
    const waits = graph({ a: (s, ctx) => ({ q: ctx.ask('?') }) }).compile(store);
    await waits.run({}, { thread: 'w' });
    assert.deepEqual([await waits.cancel('w'), (await waits.state('w')).status], [true, 'cancelled']);
    const listed = await store.checkpoints.list({ thread: 't', filter: { source: 'update' } });
    assert.deepEqual(listed.map((one) => one.id), [checkpoint]);
    assert.equal((await store.checkpoints.get('t', { id: checkpoint })).values.n, 15);
    assert.deepEqual((await store.checkpoints.prune({ keep: 1 })).checkpoints, []);
    await store.checkpoints.prune({ keep: 1, olderThan: 0 });
    assert.equal((await store.checkpoints.list({ thread: 't' })).length, 1);
    assert.equal(await store.checkpoints.delete('t'), true);
    await assert.rejects(app.state('t'), fails('unknown_id'));
  }));

test('what happens is told as it happens', async () => {
  const node = (s, ctx) => (ctx.emit({ at: s.q }), { n: 1 });
  const app = graph({ a: node, b: node }).compile();
  const events = [];
  const stream = app.stream({ q: 'x' }, { thread: 't', modes: ['updates', 'values', 'custom', 'tasks'] });
  for await (const event of stream) events.push(event);
  const of = (mode) => events.filter((event) => event.mode === mode);
  assert.deepEqual(of('updates').map((event) => event.data), [{ n: 1 }, { n: 1 }]);
  assert.equal(of('values').at(-1).data.n, 2);
  assert.deepEqual(of('custom').map((event) => [event.node, event.data]), [['a', { at: 'x' }], ['b', { at: 'x' }]]);
  assert.equal((await stream.result()).state.n, 2);
  assert.equal((await app.stream({}, { thread: 't' }).result()).status, 'done');
  await assert.rejects(app.stream({ n: 'x' }, { thread: 't' }).result(), fails('invalid_argument'));
  const asks = graph({ a: (s, ctx) => ({ q: ctx.ask('?') }) }).compile();
  const waits = await asks.stream({}, { thread: 'w' }).result();
  assert.equal((await asks.streamResume('w', { answers: { [waits.reviews[0].id]: 'yes' } }).result()).state.q, 'yes');
});

test('an abort stops a run, which can be resumed, and AsyncLocalStorage is that of who asks', () =>
  inFolder(async (folder) => {
    const storage = new AsyncLocalStorage();
    let hang = true;
    const seen = [];
    const slow = async (s, ctx) => {
      seen.push(storage.getStore());
      if (hang) await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
      return { n: 1 };
    };
    const app = graph({ a: () => ({ n: 1 }), slow }).compile(new StateStore(folder));
    const abort = new AbortController();
    const run = storage.run('asker', () => app.run({}, { thread: 't', signal: abort.signal }));
    await pause(100);
    abort.abort();
    await assert.rejects(run, fails('cancelled'));
    hang = false;
    assert.equal((await app.resume('t')).state.n, 2);
    assert.equal(seen[0], 'asker');
    const left = app.stream({}, { thread: 'left', modes: ['tasks'] });
    for await (const event of left) if (event.node === 'a') break;
    await pause(50);
    assert.notEqual((await app.state('left')).status, 'failed');
  }));

test('a second run of a thread has it, and the first is told', () =>
  inFolder(async (folder) => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const node = async (s) => {
      if (s.q === 'first') await held;
      return { notes: s.q };
    };
    const first = graph({ a: node }).compile(new StateStore(folder)).run({ q: 'first' }, { thread: 't' });
    await pause(100);
    const other = graph({ a: node }).compile(new StateStore(folder));
    assert.deepEqual((await other.run({ q: 'second' }, { thread: 't' })).state.notes, ['second']);
    release();
    await assert.rejects(first, fails('stale_write'));
    assert.deepEqual((await other.state('t')).state.notes, ['second']);
  }));

test('many runs wait for runs that their nodes await', async () => {
  const inner = graph({ a: () => ({ n: 1 }) }).compile();
  const app = graph({ a: async () => ({ n: (await inner.run({})).state.n }) }).compile();
  const found = await Promise.all(Array.from({ length: 300 }, () => app.run({})));
  assert.ok(found.every((one) => one.state.n === 1));
});

test('a killed process is gone on with by another', () =>
  inFolder((folder) => {
    const script = join(folder, 'killed.mjs');
    const quorate = new URL('../dist/index.mjs', import.meta.url).href;
    writeFileSync(
      script,
      `import { appendFileSync } from 'node:fs';
import { StateStore, workflows as wf } from ${JSON.stringify(quorate)};
const [runs, log, where] = process.argv.slice(2);
const node = (name) => async (state, ctx) => {
  await ctx.step('work', () => void appendFileSync(log, name + '\\n'));
  if (name === where) process.kill(process.pid, 'SIGKILL');
  return { notes: name };
};
const g = new wf.Graph({ state: { properties: { notes: { type: 'array' } } }, reducers: { notes: 'append' } });
for (const name of ['a', 'b1', 'b2', 'c']) g.node(name, node(name));
g.edge(wf.START, 'a').edge('a', 'b1').edge('a', 'b2').join(['b1', 'b2'], 'c');
const app = g.compile(new StateStore(runs));
const known = await app.state('t').then(() => true, () => false);
const out = known ? await app.resume('t') : await app.run({}, { thread: 't' });
console.log(out.status, ...out.state.notes);
`,
    );
    for (const where of ['a', 'b2', 'c']) {
      const log = join(folder, `${where}.log`);
      const run = (kill) => spawnSync(process.execPath, [script, join(folder, where), log, kill], { encoding: 'utf8', timeout: 60_000 });
      assert.equal(run(where).signal, 'SIGKILL');
      const after = run('nowhere');
      assert.equal(after.stdout.trim(), 'done a b1 b2 c', after.stderr);
      const logged = readFileSync(log, 'utf8').trim().split('\n');
      // What another branch was at when the process died may not have been stored yet.
      assert.deepEqual([[...new Set(logged)].sort(), logged.filter((name) => name === where).length], [['a', 'b1', 'b2', 'c'], 1]);
    }
  }));

test('contexts, apps and streams are made by the package alone', () => {
  for (const Made of [wf.Context, wf.App, wf.GraphStream]) assert.throws(() => new Made(), fails('invalid_argument'));
});


const parity = (name) => JSON.parse(readFileSync(new URL(`../../tests/parity/${name}`, import.meta.url), 'utf8'));

/** A graph of the fixture that Rust and Python run too. */
function ofTheFixture(spec) {
  const gives = (node) => async (s, ctx) => {
    let { update } = node;
    const targets = [...(node.goto ?? [])];
    if (node.send) targets.push(...s[node.each].map((item) => new wf.Send(node.send, { item })));
    if (node.item) update = { [node.item]: [s.item] };
    if (node.step) update = { [node.to]: await ctx.step(node.step, () => node.value) };
    if (node.ask) update = { [node.to]: ctx.ask(node.ask) };
    return new wf.Goto(targets, { update });
  };
  const made = new wf.Graph({ state: spec.state, reducers: spec.reducers });
  for (const [name, node] of Object.entries(spec.nodes)) {
    made.node(name, gives(node), { writes: node.writes, defer: node.defer, goto: [...(node.goto ?? []), ...(node.send ? [node.send] : [])] });
  }
  for (const edge of spec.edges) made.edge(...edge);
  for (const route of spec.routes) made.edgesIf(route.from, (s) => (s[route.channel] < route.below ? route.then : route.else), [route.then, route.else]);
  for (const join of spec.joins) made.join(...join);
  return made;
}

for (const spec of parity('graphs.json').graphs) {
  test(`as in Rust and Python: ${spec.name}`, async () => {
    const expected = parity('graph_answers.json')[spec.name];
    const made = ofTheFixture(spec);
    if (expected.problems) return assert.deepEqual(made.problems(), expected.problems);
    const told = ({ runId, checkpoint, reviews, ...rest }) => ({ ...rest, reviews: reviews.map(({ id, ...review }) => review) });
    const app = made.compile();
    const events = [];
    const stream = app.stream(spec.input, { thread: 't', modes: ['updates', 'values', 'tasks'] });
    for await (const event of stream) if (event.mode !== 'tasks' || event.data.event === 'wait') events.push(event);
    const outcomes = [told(await stream.result())];
    if ('answer' in spec) {
      const { reviews } = await app.state('t');
      outcomes.push(told(await app.resume('t', { answers: Object.fromEntries(reviews.map(({ id }) => [id, spec.answer])) })));
    }
    const history = (await app.history('t')).map((one) => [one.step, one.source, one.status, one.next, one.state]);
    assert.deepEqual({ id: app.id, mermaid: app.mermaid(), plan: app.json(), events, outcomes, history }, expected);
  });
}

test('a slow reader gets all that a node says', { timeout: 60_000 }, () => {
  // In a process of its own: what stands still takes nobody along.
  const script = `
    import { setTimeout as pause } from 'node:timers/promises';
    import { StateStore, workflows as wf } from 'quorate';
    const g = new wf.Graph({ state: { type: 'object', properties: { n: {} } } });
    const says = async (s, ctx) => {
      for (let i = 0; i < 10_000; i++) ctx.emit(i);
    };
    const app = g.node('a', says).edge(wf.START, 'a').compile(new StateStore());
    let told = 0;
    for await (const event of app.stream({}, { thread: 't', modes: ['custom'] })) {
      if (told < 5) await pause(50);
      if (event.data !== told++) throw new Error('one is missing before ' + event.data);
    }
    console.log(told);`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname, encoding: 'utf8', timeout: 30_000 });
  assert.equal(ran.stdout.trim(), '10000', ran.stderr);
});
